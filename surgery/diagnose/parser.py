"""Every refusal of the parser: it stops at the first node it cannot import; that one is cut out, and it goes on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace

import onnx

from surgery.diagnose.model_view import Subject, reads
from surgery.diagnose.placing import placed
from surgery.diagnose.scratch import Workspace
from surgery.diagnose.submodel import without
from verify.tensorrt import engine
from verify.tensorrt.engine import Refusal

MAX_ROUNDS = 300
INITIALIZER = re.compile(r"Failed to import initializer: ([^\s:]+)$")
INTEGERS = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}
NEEDS_CONSTANT = ("build-time constant", "must be an initializer", "is_weights", "not a constant", "isInFlight")


@dataclass
class Parsed:
    """What the rounds found.

    refused     (index of the main-graph node or -1, refusal), in the order found
    dead        nodes cut out by the end, refused ones and those that could not be judged
    follows     refused node -> the refused node before it that may be the cause
    guessed     tensors whose type had to be guessed when their maker was cut out
    complete    the parser accepted what is left, so nothing else in the file is refused
    """

    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    follows: dict[int, int] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)
    complete: bool = False


def all_refusals(subject: Subject, work: Workspace, first: list[Refusal], seconds: float) -> Parsed:
    """Rounds of cutting out and asking again, until the parser accepts the rest or `seconds` are over."""
    end = time.monotonic() + seconds
    found, alive = Parsed(), list(range(len(subject.nodes)))
    refusals = first
    for _ in range(MAX_ROUNDS):
        refusals = placed(subject, work, refusals, found.dead, end)
        fresh = _take(subject, refusals, alive, found)
        if not refusals:
            found.complete = True
        if not fresh or time.monotonic() > end:
            return found
        model, alive, guessed = without(subject, work.model, found.dead)
        found.guessed |= guessed
        found.dead = set(range(len(subject.nodes))) - set(alive)
        if not alive:
            found.complete = True
            return found
        refusals = engine.parse(work.write(model), limit=max(end - time.monotonic(), 5.0))
    return found


def _take(subject: Subject, refusals: list[Refusal], alive: list[int], found: Parsed) -> bool:
    """Note refusals under the original indices and mark what has to go; False when nothing new can be cut out."""
    dead, tensors = len(found.dead), {refusal.tensor for _, refusal in found.refused}
    refusals = [_with_tensor(refusal) for refusal in refusals]
    for refusal in refusals:
        if 0 <= refusal.node < len(alive):
            _take_node(subject, alive[refusal.node], refusal, found)
        elif not refusal.tensor or refusal.tensor not in tensors:
            found.refused.append((-1, refusal))
            found.dead.update(subject.readers.get(refusal.tensor, []))
            found.dead.update({subject.made_by.get(refusal.tensor, -1)} - {-1})
    # A refused initializer that nothing reads goes by itself when nodes are cut out.
    return len(found.dead) > dead or any(refusal.tensor not in {*tensors, ""} for refusal in refusals)


def _with_tensor(refusal: Refusal) -> Refusal:
    """The refusal with the initializer that only its message names."""
    named = INITIALIZER.search(refusal.message)
    return replace(refusal, tensor=named[1]) if named and not refusal.tensor else refusal


def _take_node(subject: Subject, index: int, refusal: Refusal, found: Parsed) -> None:
    cause = _cause(subject, index, found)
    found.dead.add(index)
    if cause is not None and refusal.code == "INVALID_NODE" and _from_guess(subject, index, found):
        return
    found.refused.append((index, refusal))
    if any(words in refusal.message for words in NEEDS_CONSTANT):
        whole = [name for name in reads(subject.nodes[index]) if _is_integer(subject, name)]
        cause = _cause(subject, index, found, whole)
        if cause is not None:
            found.follows[index] = cause


def _cause(subject: Subject, index: int, found: Parsed, names: list[str] | None = None) -> int | None:
    """A cut-out node before this one, found by walking up from its inputs, or from those named only."""
    seen = {index}
    todo = reads(subject.nodes[index]) if names is None else list(names)
    while todo:
        maker = subject.made_by.get(todo.pop())
        if maker is None or maker in seen:
            continue
        if maker in found.dead:
            return maker
        seen.add(maker)
        todo += reads(subject.nodes[maker])
    return None


def _is_integer(subject: Subject, name: str) -> bool:
    kind = subject.types.get(name)
    return kind is not None and kind.tensor_type.elem_type in INTEGERS


def _from_guess(subject: Subject, index: int, found: Parsed) -> bool:
    """Whether a tensor of guessed type reaches this node."""
    seen, todo = {index}, [index]
    while todo:
        for name in reads(subject.nodes[todo.pop()]):
            if name in found.guessed:
                return True
            maker = subject.made_by.get(name)
            if maker is not None and maker not in seen and maker not in found.dead:
                seen.add(maker)
                todo.append(maker)
    return False
