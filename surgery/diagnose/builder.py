"""Every refusal of TensorRT's builder, traced to the nodes behind it: each kind of node alone, then by bisection."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import onnx

from surgery.diagnose.model_view import Subject, name_of, port
from surgery.diagnose.reasons import Reason, explain
from surgery.diagnose.scratch import Workspace
from surgery.diagnose.submodel import part, with_constant_ancestors, without
from verify.tensorrt import engine
from verify.tensorrt.engine import BuildResult, Profiles

MAX_ROUNDS = 12
CRASH = "SG891"
# Refusals of inputs and profiles, which no node causes.
OF_THE_MODEL = {"profile", "dimension-name"}
VARYING = re.compile(r"node_of_[\w/.:]+|'[^']*'|\(Unnamed Layer\*? ?\d*\)|\[?\w+\.(?:cpp|h)[^ ]*|\d+|__my\w+|/[\w/.]+")


@dataclass
class Built:
    """What the builder refused.

    refused   (indices of the nodes that make it fail together, TensorRT's words, reason); no index when not found
    dead      nodes cut out by the end
    complete  the builder accepted what is left
    """

    refused: list[tuple[tuple[int, ...], str, Reason]] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    complete: bool = False


def words(result: BuildResult) -> str:
    """What a failed build said, the most telling line first."""
    lines = [line for line in result.messages if not line.startswith("[network.cpp") and line.strip()]
    return max(lines, key=_telling) if lines else "TensorRT gave no reason"


def _telling(line: str) -> tuple[bool, int]:
    return (("Error Code" in line and "Myelin" not in line) or "dedicated kernel" in line, len(line))


def same(message: str, op: str = "") -> str:
    """What two messages share when they are about the same fault: the reason's code, else the words without names."""
    reason = explain(message, op, stage="builder")
    return reason.code if reason.code != "SG890" else VARYING.sub("#", message)[:160]


def all_refusals(
    subject: Subject, work: Workspace, first: BuildResult, dead: set[int], profiles: Profiles | None, seconds: float
) -> Built:
    """Rounds of finding the nodes behind the builder's complaint and building the rest, for at most `seconds`."""
    end = time.monotonic() + seconds
    found, result = Built(dead=set(dead)), first
    for _ in range(MAX_ROUNDS):
        if result.ok:
            found.complete = True
            return found
        message = words(result) if not result.refusals else result.refusals[0].message
        whole = explain(message, "", stage="builder").feature in OF_THE_MODEL
        groups = [] if whole else list(_locate(subject, work, message, found.dead, profiles, end))
        if not groups:
            found.refused.append(((), message, explain(message, "", stage="builder")))
            return found
        for group, said in groups:
            last_index = group[-1]
            last = subject.nodes[last_index]
            reason = explain(said, last.op_type, last.domain, "builder", dtype=_dtype(subject, last_index))
            found.refused.append((group, said, reason))
            # Of a group the last node alone goes, so that the others are still judged by themselves.
            found.dead.add(last_index)
        if time.monotonic() > end:
            return found
        model, alive, _ = without(subject, work.model, found.dead)
        found.dead = set(range(len(subject.nodes))) - set(alive)
        if not alive or not model.graph.output:
            found.complete = True
            return found
        result = engine.build(work.write(model), fitting(model, profiles), limit=max(end - time.monotonic(), 10.0))
    return found


def _locate(
    subject: Subject, work: Workspace, message: str, dead: set[int], profiles: Profiles | None, end: float
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Groups of nodes that fail alone as the whole does, with TensorRT's words; found by bisection when no node does.

    A crash says nothing of its cause, so any node that fails alone comes before it.
    """
    alive = [index for index in range(len(subject.nodes)) if index not in dead]
    wanted = same(message)

    def said(keep: Sequence[int]) -> str:
        model = part(subject, work.model, set(keep))
        if model is None or not model.graph.output:
            return ""
        result = engine.build(work.write(model), fitting(model, profiles), limit=60.0)
        return "" if result.ok or result.refusals else words(result)

    def matches(text: str, keep: Sequence[int]) -> bool:
        return bool(text) and any(same(text, op) == wanted for op in ("", *(subject.nodes[i].op_type for i in keep)))

    hits = False
    for members in _kinds(subject, alive, message):
        if time.monotonic() > end:
            return
        kept = sorted(with_constant_ancestors(subject, members[0]))
        text = said(kept)
        if matches(text, members[:1]) or (text and wanted == CRASH):
            hits = True
            yield from (((index,), text) for index in members)
        elif hits and wanted != CRASH and _unlikely(subject, members, message):
            return
    if not hits and len(alive) > 1:
        group = bisect(alive, lambda keep: matches(said(keep), keep), end)
        if group:
            yield tuple(group), message


def _kinds(subject: Subject, alive: Sequence[int], message: str) -> list[list[int]]:
    """Nodes of one kind stand together; kinds the message speaks of come first."""
    kinds: dict[str, list[int]] = {}
    for index in alive:
        kinds.setdefault(_kind(subject, index), []).append(index)
    return sorted(kinds.values(), key=lambda group: _unlikely(subject, group, message))


def _dtype(subject: Subject, index: int) -> str:
    """dtype of the node's first input."""
    return str(port(next(iter(subject.nodes[index].input), ""), subject.types)["dtype"])


def _unlikely(subject: Subject, members: Sequence[int], message: str) -> int:
    """0 where the message names a node of the group or fits its operator, else 1: likely ones are tried first."""
    named = any(re.search(rf"(?<![\w/.]){re.escape(name_of(subject.nodes[i]))}(?![\w/.])", message) for i in members)
    op = subject.nodes[members[0]].op_type
    return 0 if named or op in message or explain(message, op, stage="builder").code != explain(message, "").code else 1


def _kind(subject: Subject, index: int) -> str:
    """Nodes of one kind have operator, attributes, input types and constness in common, and fail or pass together."""
    node = subject.nodes[index]
    plain = onnx.NodeProto(op_type=node.op_type, domain=node.domain, attribute=node.attribute)
    inputs = [str({**port(name, subject.types), "name": name in subject.initializers}) for name in node.input]
    outputs = [bool(name) for name in node.output]
    return f"{plain.SerializeToString(deterministic=True)!r}{inputs}{outputs}"


def bisect(order: Sequence[int], fails: Callable[[Sequence[int]], bool], end: float) -> list[int]:
    """A small run of nodes that still fails: the shortest failing beginning, then its shortest failing end.

    Takes for granted that a longer beginning fails when a shorter one does; empty when even all nodes do not fail.
    """
    if not fails(order):
        return []
    low, high = 1, len(order)
    while low < high and time.monotonic() < end:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(order[:middle]) else (middle + 1, high)
    first, last = 0, high - 1
    while first < last and time.monotonic() < end:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if fails(order[middle:high]) else (first, middle - 1)
    return prune(list(order[first:high]), fails, end)


def prune(nodes: list[int], fails: Callable[[Sequence[int]], bool], end: float) -> list[int]:
    """Nodes dropped one by one, and in halves first where there are many, as long as the rest still fails."""
    size = max(len(nodes) // 2, 1)
    while size and time.monotonic() < end:
        start = 0
        while start < len(nodes) and len(nodes) > 1 and time.monotonic() < end:
            rest = nodes[:start] + nodes[start + size :]
            if rest and fails(rest):
                nodes = rest
            else:
                start += size
        size = size // 2 if size > 1 else 0
    return nodes


def fitting(model: onnx.ModelProto, profiles: Profiles | None) -> Profiles | None:
    """The given profiles where they cover every dynamic input of this part; None lets the adapter choose."""
    if not profiles:
        return None
    names = {value.name for value in model.graph.input}
    dynamic = {
        value.name
        for value in model.graph.input
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }
    return {name: shapes for name, shapes in profiles.items() if name in names} if dynamic <= set(profiles) else None
