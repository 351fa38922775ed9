"""Every refusal of the parser: it stops at the first node it cannot import, so that node is removed to see the next."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import onnx

from surgery.diagnose.model_view import ModelView
from surgery.diagnose.progress import say
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search.submodel import alone, reads_guessed_type, without
from verify.model.walk import op_of, reads, subgraphs
from verify.tensorrt import engine
from verify.tensorrt.engine import Refusal

MAX_ROUNDS = 300
INITIALIZER = re.compile(r"Failed to import initializer: ([^\s:]+)$")
INTEGERS = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}
NEEDS_CONSTANT = ("build-time constant", "must be an initializer", "is_weights", "not a constant", "isInFlight")


@dataclass
class Parsed:
    """What all rounds of the parser found.

    refused     (index of the main-graph node or -1, refusal); of one operator where the parser refuses several alike
    removed     nodes removed by the end: the refused ones, and those that cannot be parsed without them
    follows     refused node -> the refused node before it that may be the cause
    guessed     tensors whose type had to be guessed when their maker was removed
    complete    the parser accepted the remaining nodes, so nothing else in the file is refused
    """

    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)
    follows: dict[int, int] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)
    complete: bool = False


def all_refusals(view: ModelView, scratch: ScratchFolder, first: list[Refusal], seconds: float) -> Parsed:
    """Remove what is refused and parse the rest, until the parser accepts it or `seconds` are over."""
    end = time.monotonic() + seconds
    found, remaining = Parsed(), list(range(len(view.nodes)))
    refusals = first
    for _ in range(MAX_ROUNDS):
        say(f"searching what the parser refuses: {len(found.refused):,} places found, {len(remaining):,} nodes left")
        refusals = locate(view, scratch, refusals, found.removed, end)
        progress = _record(view, refusals, remaining, found)
        _record_alike(view, scratch, found, end)
        if not refusals:
            found.complete = True
        if not progress or time.monotonic() > end:
            return found
        model, remaining, guessed = without(view, scratch.model, found.removed)
        found.guessed |= guessed
        found.removed = set(range(len(view.nodes))) - set(remaining)
        if not remaining:
            found.complete = True
            return found
        refusals = engine.parse(scratch.write(model), limit=max(end - time.monotonic(), 5.0))
    return found


def _record_alike(view: ModelView, scratch: ScratchFolder, found: Parsed, end: float) -> None:
    """Record nodes of the operator that was refused last, which the parser refuses by themselves in the same words.

    Each is parsed in a model of its own, which takes less time than to parse the whole once more for each of them.
    """
    index, refusal = found.refused[-1] if found.refused else (-1, Refusal(""))
    if index < 0 or refusal.stack or any(subgraphs(view.nodes[index])):
        return
    kind = op_of(view.nodes[index])
    for other in range(index + 1, len(view.nodes)):
        if other in found.removed or op_of(view.nodes[other]) != kind or time.monotonic() > end:
            continue
        model = alone(view, scratch.model, other)
        again = engine.parse(scratch.write(model), limit=60.0) if model is not None else []
        if [(one.code, one.message) for one in again] == [(refusal.code, refusal.message)]:
            _record_node(view, other, replace(again[0], node=other), found)


def locate(
    view: ModelView, scratch: ScratchFolder, refusals: list[Refusal], removed: Collection[int], end: float
) -> list[Refusal]:
    """Give a refusal that names no node the node that causes it, as where the parser meets a tensor of unknown rank.

    The node is found by halving the list of nodes, as long as there is time before `end`.
    """
    unnamed = next(filter(_names_no_node, refusals), None)
    if unnamed is None:
        return refusals
    _, remaining, _ = without(view, scratch.model, removed)
    good, bad = 0, len(remaining)
    while bad - good > 1 and time.monotonic() < end:
        middle = (good + bad) // 2
        rest = {*removed, *remaining[middle:]}
        good, bad = (good, middle) if _refused_again(view, scratch, rest, unnamed, end) else (middle, bad)
    # An input or initializer may be at fault instead of the very first node: then the model is refused without it too.
    without_first = {*removed, *remaining[:1]}
    if bad - good != 1 or (good == 0 and _refused_again(view, scratch, without_first, unnamed, end)):
        return refusals
    node = view.nodes[remaining[good]]
    found = replace(unnamed, node=good, node_name=node.name, op=node.op_type)
    return [found if refusal is unnamed else refusal for refusal in refusals]


def _names_no_node(refusal: Refusal) -> bool:
    """Whether the refusal is caused by a node that it does not name; a fault of the whole graph is not."""
    return refusal.node < 0 and not refusal.tensor and refusal.code != "INVALID_GRAPH"


def _refused_again(view: ModelView, scratch: ScratchFolder, removed: set[int], refusal: Refusal, end: float) -> bool:
    """Whether the parser refuses the model without the nodes `removed` in the same words."""
    model, remaining, _ = without(view, scratch.model, removed)
    if not remaining:
        return False
    limit = max(end - time.monotonic(), 5.0)
    again = engine.parse(scratch.write(model), limit=limit)
    return any(other.node < 0 and other.message == refusal.message for other in again)


def _record(view: ModelView, refusals: list[Refusal], remaining: list[int], found: Parsed) -> bool:
    """Record refusals under the original node indices and mark what to remove; False when nothing more can be."""
    before, tensors = len(found.removed), {refusal.tensor for _, refusal in found.refused}
    refusals = [_with_tensor(refusal) for refusal in refusals]
    for refusal in refusals:
        if 0 <= refusal.node < len(remaining):
            _record_node(view, remaining[refusal.node], refusal, found)
        elif not refusal.tensor or refusal.tensor not in tensors:
            found.refused.append((-1, refusal))
            found.removed.update(view.readers.get(refusal.tensor, []))
            found.removed.update({view.made_by.get(refusal.tensor, -1)} - {-1})
    # A refused initializer that nothing reads disappears by itself when nodes are removed.
    return len(found.removed) > before or any(refusal.tensor not in {*tensors, ""} for refusal in refusals)


def _with_tensor(refusal: Refusal) -> Refusal:
    """The refusal with the initializer that only its message names."""
    named = INITIALIZER.search(refusal.message)
    return replace(refusal, tensor=named[1]) if named and not refusal.tensor else refusal


def _record_node(view: ModelView, index: int, refusal: Refusal, found: Parsed) -> None:
    cause = _cause(view, index, found)
    found.removed.add(index)
    if (
        cause is not None
        and refusal.code == "INVALID_NODE"
        and reads_guessed_type(view, index, found.guessed, found.removed)
    ):
        return
    found.refused.append((index, refusal))
    if any(words in refusal.message for words in NEEDS_CONSTANT):
        whole = [name for name in reads(view.nodes[index]) if _is_integer(view, name)]
        cause = _cause(view, index, found, whole)
        if cause is not None:
            found.follows[index] = cause


def _cause(view: ModelView, index: int, found: Parsed, names: list[str] | None = None) -> int | None:
    """A removed node before this one, found by walking up from its inputs, or from those named only."""
    seen = {index}
    todo = reads(view.nodes[index]) if names is None else list(names)
    while todo:
        maker = view.made_by.get(todo.pop())
        if maker is None or maker in seen:
            continue
        if maker in found.removed:
            return maker
        seen.add(maker)
        todo += reads(view.nodes[maker])
    return None


def _is_integer(view: ModelView, name: str) -> bool:
    kind = view.types.get(name)
    return kind is not None and kind.tensor_type.elem_type in INTEGERS
