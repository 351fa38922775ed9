"""`Loop` with a counting condition and no trip count, as TensorFlow's `while` is exported.

What it does: computes the trip count from the start and the end of the counter; the condition stays.
Why: TensorRT has to know the length of a loop's scan outputs before the loop runs.
Before → After: `y = Loop("", i < n, i) <body: i' = i + 1, on = i' < n>` → `y = Loop(n - i, i < n, i) <the same body>`
Leaves alone: loops without scan outputs or with a trip count, and every condition other than the comparison of an
integer that grows by a constant with an integer that does not change.
Numerics: exact. Where the body compares after rounding to float32, the loop may end before the trip count, never after
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

# Whether the operands are swapped to read the comparison as Less or LessOrEqual.
COMPARISONS = {"Less": False, "Greater": True, "LessOrEqual": False, "GreaterOrEqual": True}
INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))
WIDER = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64)
EXACT_TO = 1 << 24  # float32 represents every integer up to here
OPSET = 12  # the first whose Max takes integers


@dataclass(frozen=True)
class Count:
    """The counter runs from `start` in steps of `step` to `end`, inclusive or not; at least `least` iterations run."""

    start: gs.Tensor
    end: gs.Tensor
    step: int
    reaches: bool
    least: int


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < OPSET:
        return
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        if isinstance(body, gs.Graph) and len(node.inputs) > 2 and node.inputs[0].is_empty():
            count = counted(node, body, context)
            if count is not None:
                fix = partial(count_turns, graph, node, context, count)
                yield finding(
                    "the loop collects values, but only its condition limits the number of iterations", node, fix
                )


def counted(node: gs.Node, body: gs.Graph, context: Context) -> Count | None:
    """How the loop counts; None if it does not count or has no scan outputs."""
    states = len(node.inputs) - 2
    if len(body.inputs) != states + 2 or len(node.outputs) <= states or len(body.outputs) != len(node.outputs) + 1:
        return None
    compared = _compared(_behind(body.outputs[0]))
    if compared is None:
        return None
    next_value, limit, reaches = compared
    step, counter = _step(next_value, context)
    end = _unchanged(limit, node, body)
    place = next((place for place, state in enumerate(body.inputs[2:]) if state is counter), None)
    if end is None or place is None or step < 1 or _behind(body.outputs[1 + place]) is not next_value:
        return None
    start = node.inputs[2 + place]
    least = _least(node.inputs[1], start, end, reaches, context)
    if least is None or any(context.static_shape(tensor) not in ((), (1,)) for tensor in (start, end)):
        return None
    return Count(start, end, step, reaches, least)


def count_turns(graph: gs.Graph, node: gs.Node, context: Context, count: Count) -> None:
    """Compute the trip count in front of the loop."""
    build = Build(graph, node, context, PASS.code)
    turns = build("Sub", build.cast(count.end, np.int64), build.cast(count.start, np.int64))
    if count.reaches or count.step > 1:
        turns = build("Add", turns, build.ints(count.step - (not count.reaches)))
    if count.step > 1:
        turns = build("Div", turns, build.ints(count.step))
    replace_input(node, 0, build("Max", turns, build.ints(count.least)))
    build.insert()


def _least(first: gs.Tensor, start: gs.Tensor, end: gs.Tensor, reaches: bool, context: Context) -> int | None:
    """Iterations that run for any counter: 0 if the first condition is the comparison, 1 if it is true."""
    if first.is_empty():
        return 1
    value = context.constant(first)
    if value is not None:
        return 1 if value.all() else None
    compared = _compared(_behind(first))
    if compared is None or compared[2] != reaches:
        return None
    same = all(
        one is other or _equal(context.constant(one), context.constant(other))
        for one, other in ((compared[0], _whole(start)), (compared[1], _whole(end)))
    )
    return 0 if same else None


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and one.size == other.size == 1 and one.item() == other.item()


def _compared(condition: gs.Tensor) -> tuple[gs.Tensor, gs.Tensor, bool] | None:
    """The smaller and the larger whole number of a comparison, and whether they may be equal."""
    maker = producer(condition, *COMPARISONS)
    if maker is None or len(maker.inputs) != 2:
        return None
    left, right = reversed(maker.inputs) if COMPARISONS[maker.op] else maker.inputs
    reaches = maker.op.endswith("OrEqual")
    if reaches and not (_is_whole(left) and _is_whole(right)):
        return None  # a counter past the end may equal it after rounding to a float
    left, right = _whole(left), _whole(right)
    return (left, right, reaches) if _is_whole(left) and _is_whole(right) else None


def _step(value: gs.Tensor, context: Context) -> tuple[int, gs.Tensor | None]:
    """By how much `value` is more than another tensor, and that one."""
    maker = producer(value, "Add")
    if maker is None:
        return 0, None
    for one, other in (maker.inputs, reversed(maker.inputs)):
        constant = context.constant(other)
        if constant is not None and constant.size == 1:
            return int(constant.item()), _behind(one)
    return 0, None


def _unchanged(limit: gs.Tensor, node: gs.Node, body: gs.Graph) -> gs.Tensor | None:
    """The tensor outside the loop that `limit` equals in every iteration; None if it may change."""
    for place, state in enumerate(body.inputs[2:]):
        if limit is state:
            return node.inputs[2 + place] if _behind(body.outputs[1 + place]) is state else None
    inside = limit is body.inputs[0] or limit is body.inputs[1]
    inside = inside or any(output is limit for inner in body.nodes for output in inner.outputs)
    return None if inside else limit


def _behind(tensor: gs.Tensor) -> gs.Tensor:
    """The tensor at the start of a chain of Identity nodes."""
    while (identity := producer(tensor, "Identity")) is not None:
        tensor = identity.inputs[0]
    return tensor


def _whole(tensor: gs.Tensor) -> gs.Tensor:
    """The integer tensor before the Casts to a wider type or a float that a comparison reads."""
    tensor = _behind(tensor)
    while (cast := producer(tensor, "Cast")) is not None:
        given = _behind(cast.inputs[0])
        if cast.attrs.get("to") not in WIDER or not _is_whole(given):
            break
        tensor = given
    return tensor


def _is_whole(tensor: gs.Tensor) -> bool:
    """Whether a tensor holds integers: by its type, its value, or its summands (loop bodies seldom declare types)."""
    maker = producer(tensor, "Add", "Identity")
    if tensor.dtype is None and maker is not None:
        return any(_is_whole(given) for given in maker.inputs)
    if tensor.dtype is None or np.dtype(tensor.dtype) in INTEGERS:
        return tensor.dtype is not None
    value = Context.constant(tensor)
    return (
        value is not None
        and value.size == 1
        and value.dtype.kind == "f"
        and abs(value.item()) < EXACT_TO
        and (float(value.item()).is_integer())
    )


PASS = Pass(code="SG147", name="counted-loop", find=find, exact=True, kind="replace", feature="loop-uncounted")
