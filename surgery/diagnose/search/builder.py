"""Every refusal of TensorRT's builder, with the nodes that cause it: each kind is built alone, then bisected."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import onnx

from surgery.diagnose.model_view import ModelView, port
from surgery.diagnose.progress import say
from surgery.diagnose.rules.reasons import Reason, explain
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search.bisect import bisect
from surgery.diagnose.search.parser import Parsed
from surgery.diagnose.search.subgraphs import named_inside, names
from surgery.diagnose.search.submodel import part, reads_guessed_type, with_constant_ancestors, without
from surgery.targets.catalog import load_catalog
from verify.model.walk import walk_nodes
from verify.tensorrt import engine
from verify.tensorrt.engine import BuildResult, Profiles, Refusal

MAX_ROUNDS = 12
AT_ONCE = 64  # kinds of nodes in one model
CRASH = "SG891"
FUSED = ("ForeignNode", "__my")
# Refusals of inputs and profiles, which no node causes.
OF_THE_MODEL = {"profile", "dimension-name"}
VARYING = re.compile(r"node_of_[\w/.:]+|'[^']*'|\(Unnamed Layer\*? ?\d*\)|\[?\w+\.(?:cpp|h)[^ ]*|\d+|__my\w+|/[\w/.]+")


@dataclass
class Built:
    """What the builder refused.

    refused   (indices of the nodes that make it fail together, TensorRT's words, reason); no index when not found
    removed   nodes removed by the end
    guessed   tensors whose type had to be guessed when their maker was removed
    sound     nodes that are known to build by themselves
    complete  the builder accepted the remaining nodes
    """

    refused: list[tuple[tuple[int, ...], str, Reason]] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)
    guessed: set[str] = field(default_factory=set)
    sound: set[int] = field(default_factory=set)
    complete: bool = False


def main_error(result: BuildResult) -> str:
    """The most informative line among the errors of a failed build."""
    lines = [line for line in result.messages if not line.startswith("[network.cpp") and line.strip()]
    return max(lines, key=_informative) if lines else "TensorRT gave no reason"


def _informative(line: str) -> tuple[bool, int]:
    return (("Error Code" in line and "Myelin" not in line) or "dedicated kernel" in line, len(line))


def fingerprint(message: str, op: str = "") -> str:
    """Equal for two messages about the same fault: the reason's code, else the message without names and numbers."""
    reason = explain(message, op, stage="builder")
    return reason.code if reason.code != "SG890" else VARYING.sub("#", message)[:160]


def same_fault(one: str, other: str, op: str) -> bool:
    """Whether two messages, one of them about an operator, are about the same fault."""
    return fingerprint(other, op) in (fingerprint(one), fingerprint(one, op))


def all_refusals(
    view: ModelView,
    scratch: ScratchFolder,
    first: BuildResult,
    parsed: Parsed,
    profiles: Profiles | None,
    seconds: float,
) -> Built:
    """Find the nodes that cause the builder's error, build without them, and repeat, for at most `seconds`."""
    end = time.monotonic() + seconds
    found, result = Built(removed=set(parsed.removed), guessed=set(parsed.guessed)), first
    remaining = [index for index in range(len(view.nodes)) if index not in parsed.removed]
    for _ in range(MAX_ROUNDS):
        if result.ok:
            found.complete = True
            return found
        message = main_error(result) if not result.refusals else result.refusals[0].message
        whole = explain(message, "", stage="builder").feature in OF_THE_MODEL
        if result.refusals:
            groups = _refused_for_guesses(view, result.refusals, remaining, found)
        else:
            groups = [] if whole else list(_locate(view, scratch, message, found, profiles, end))
        if not groups:
            # With guessed types the error may be about a type that the model does not have.
            if whole or not found.guessed:
                found.refused.append(((), message, explain(message, "", stage="builder")))
            return found
        for group, error in groups:
            last_index = group[-1]
            found.removed.add(last_index)
            if reads_guessed_type(view, last_index, found.guessed, found.removed):
                continue
            last = view.nodes[last_index]
            inner = named_inside(last, error)
            cause = inner[1] if inner else last
            reason = explain(error, cause.op_type, cause.domain, "builder", dtype=_dtype(view, last_index))
            # Only the last node of a group is removed, so that the others are still built by themselves.
            found.refused.append((group, error, reason))
        if time.monotonic() > end:
            return found
        model, remaining, guessed = without(view, scratch.model, found.removed)
        found.guessed |= guessed
        found.removed = set(range(len(view.nodes))) - set(remaining)
        if not remaining or not model.graph.output:
            found.complete = True
            return found
        result = engine.build(scratch.write(model), fitting(model, profiles), limit=max(end - time.monotonic(), 10.0))
    return found


def _refused_for_guesses(
    view: ModelView, refusals: Sequence[Refusal], remaining: Sequence[int], found: Built
) -> list[tuple[tuple[int, ...], str]]:
    """Nodes that the parser accepted in the whole model, and refuses where a tensor that they read is guessed."""
    indices = [(remaining[refusal.node], refusal) for refusal in refusals if 0 <= refusal.node < len(remaining)]
    return [
        ((index,), refusal.message)
        for index, refusal in indices
        if reads_guessed_type(view, index, found.guessed, found.removed)
    ]


def _locate(
    view: ModelView, scratch: ScratchFolder, message: str, found: Built, profiles: Profiles | None, end: float
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Groups of nodes that alone fail with the error of the whole, with TensorRT's message.

    If the node that the message names does not fail alone, it counts nevertheless: in a branch of If, or with the sizes
    that are guessed for a part, TensorRT may say something else. All nodes are searched only if no single one is named.
    A crash names no cause, so after a crash every node that fails alone counts.
    """
    remaining = [index for index in range(len(view.nodes)) if index not in found.removed]
    wanted = fingerprint(message)

    def error_of(keep: Sequence[int]) -> str:
        model = part(view, scratch.model, set(keep))
        if model is None or not model.graph.output:
            return ""
        result = engine.build(scratch.write(model), fitting(model, profiles), limit=60.0)
        return "" if result.ok or result.refusals else main_error(result)

    def matches(text: str, keep: Sequence[int]) -> bool:
        ops = dict.fromkeys(node.op_type for node in walk_nodes(view.nodes[i] for i in keep))
        return bool(text) and any(fingerprint(text, op) == wanted for op in ("", *ops))

    def failing(kinds: Iterable[list[int]]) -> Iterator[tuple[tuple[int, ...], str]]:
        for members in kinds:
            if time.monotonic() > end:
                return
            text = error_of(sorted(with_constant_ancestors(view, members[0])))
            if matches(text, members[:1]) or (text and wanted == CRASH):
                yield from (((index,), text) for index in members)

    likely, others = _kinds(view, remaining, message)
    hits = False
    for hit in failing(likely):
        hits = True
        yield hit
    named_node = _named_node(view, remaining, message)
    if (not hits and named_node is None) or wanted == CRASH:
        for hit in failing(_failing_kinds(view, scratch, others, found.sound, profiles, end)):
            hits = True
            yield hit
    if not hits and named_node is not None:
        yield (named_node,), message
    elif not hits and len(remaining) > 1:
        group = bisect(remaining, lambda keep: matches(error_of(keep), keep), end)
        if group:
            yield tuple(group), message


def _named_node(view: ModelView, remaining: Sequence[int], message: str) -> int | None:
    """The only node that the message names, itself or one inside it. Names of fused kernels are made of several."""
    if any(words in message for words in FUSED):
        return None
    found = [index for index in remaining if any(names(message, node) for node in walk_nodes([view.nodes[index]]))]
    return found[0] if len(found) == 1 else None


def _kinds(view: ModelView, remaining: Sequence[int], message: str) -> tuple[list[list[int]], list[list[int]]]:
    """Nodes grouped by kind: the kinds that the message mentions, and the others."""
    kinds: dict[str, list[int]] = {}
    for index in remaining:
        kinds.setdefault(_kind(view, index), []).append(index)
    found: tuple[list[list[int]], list[list[int]]] = ([], [])
    for members in kinds.values():
        found[_unlikely(view, members, message)].append(members)
    return found


def _failing_kinds(
    view: ModelView,
    scratch: ScratchFolder,
    kinds: Sequence[list[int]],
    sound: set[int],
    profiles: Profiles | None,
    end: float,
) -> Iterator[list[int]]:
    """The kinds whose first node may fail alone: many are built at once, and what fails is halved.

    Kinds of which no model can be made alone are left out, and so are those that the parser refuses without the rest.
    The first nodes of kinds that build are added to `sound`, and those in it are not built again.
    """
    alone = [kind for kind in kinds if kind[0] not in sound and _parts(view, scratch, [kind]) is not None]
    todo = [alone[start : start + AT_ONCE] for start in range(0, len(alone), AT_ONCE)][::-1]
    while todo and time.monotonic() < end:
        left = sum(map(len, todo))
        say(f"searching what the builder refuses: {len(alone) - left:,} of {len(alone):,} kinds of nodes done")
        group = todo.pop()
        made = _parts(view, scratch, group) if len(group) > 1 else None
        if made is None:
            if len(group) == 1:
                yield group[0]
            elif group:
                todo += [group[len(group) // 2 :], group[: len(group) // 2]]
            continue
        model, kept = made
        result = engine.build(scratch.write(model), fitting(model, profiles), limit=60.0)
        if result.ok:
            sound.update(kind[0] for kind in group)
            continue
        refused = {kept[refusal.node] for refusal in result.refusals if 0 <= refusal.node < len(kept)}
        rest = [kind for kind in group if not with_constant_ancestors(view, kind[0]) & refused]
        if len(rest) < len(group):
            todo.append(rest)
        else:
            todo += [group[len(group) // 2 :], group[: len(group) // 2]]


def _parts(
    view: ModelView, scratch: ScratchFolder, kinds: Sequence[list[int]]
) -> tuple[onnx.ModelProto, list[int]] | None:
    """The first node of each kind, with the constants it reads, in one model, and the indices of the model's nodes."""
    kept = sorted(set[int]().union(*(with_constant_ancestors(view, kind[0]) for kind in kinds)))
    model = part(view, scratch.model, set(kept))
    return (model, kept) if model is not None and model.graph.output else None


def _dtype(view: ModelView, index: int) -> str:
    """dtype of the node's first input."""
    return str(port(next(iter(view.nodes[index].input), ""), view.types)["dtype"])


def _unlikely(view: ModelView, members: Sequence[int], message: str) -> int:
    """0 where the message names a node of the group or fits its operator, else 1: likely ones are tried first.

    The nodes inside an If, a Loop or a Scan count like the node itself.
    """
    if any(names(message, node) for node in walk_nodes(view.nodes[index] for index in members)):
        return 0
    plain = explain(message, "", stage="builder")
    about = load_catalog()[plain.feature].op if plain.feature in load_catalog() else ""

    def fits(op: str) -> bool:
        return op in message or op == about or explain(message, op, stage="builder").code != plain.code

    return 0 if any(fits(node.op_type) for node in walk_nodes([view.nodes[members[0]]])) else 1


def _kind(view: ModelView, index: int) -> str:
    """Operator, attributes, input types and which inputs are constant: nodes of one kind fail or pass alike."""
    node = view.nodes[index]
    plain = onnx.NodeProto(op_type=node.op_type, domain=node.domain, attribute=node.attribute)
    inputs = [str({**port(name, view.types), "name": name in view.initializers}) for name in node.input]
    outputs = [bool(name) for name in node.output]
    return f"{plain.SerializeToString(deterministic=True)!r}{inputs}{outputs}"


def fitting(model: onnx.ModelProto, profiles: Profiles | None) -> Profiles | None:
    """The given profiles where they cover every dynamic input of this part; None: sizes are guessed."""
    if not profiles:
        return None
    names = {value.name for value in model.graph.input}
    dynamic = {
        value.name
        for value in model.graph.input
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }
    return {name: shapes for name, shapes in profiles.items() if name in names} if dynamic <= set(profiles) else None
