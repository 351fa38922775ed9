"""Softmax decomposed into smaller operators.

What it does: writes Exp(x - max(x)) divided by its sum, and Exp(LogSoftmax(x)), as Softmax.
Why: TensorRT fuses an attention only around a Softmax; with the decomposed form the scores (queries x keys) are written
to memory once there are more than a few hundred keys. Seen in builds of TensorRT-RTX 1.7.1 (541 MB against 17).
Before → After: `e = Exp(x - ReduceMax(x)); y = e / ReduceSum(e)` → `y = Softmax(x)`
Leaves alone: sums over several axes or without kept dims, opset below 13 (where Softmax flattens its input), inner
results that other nodes read, and tensors of one dim, whose Softmax TensorRT refuses.
Numerics: within rounding. Without the subtraction of the largest value the original overflows earlier: the result is
finite there; the comparison with the original allows this, and the report mentions it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.graph.walk import producer
from surgery.passes.ops.axes import single_kept_axis
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG203"
MINIMUM_OPSET = 13
FEWEST_DIMS = 2  # TensorRT refuses a Softmax of one dim, and takes the nodes it is decomposed into


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < MINIMUM_OPSET:
        return
    for last in (*context.nodes(graph, "Div"), *context.nodes(graph, "Exp")):
        found = _division(last, context) if last.op == "Div" else _exponential(last, context)
        if found is None:
            continue
        source, axis, inner = found
        inside = {id(last), *(id(node) for node in inner)}
        shared = any(id(reader) not in inside for node in inner for reader in node.outputs[0].outputs)
        if shared or any(context.is_output(graph, node.outputs[0]) for node in inner):
            continue
        message = f"softmax over axis {axis} is decomposed into {len(inner) + 1} nodes"
        yield finding(message, last, partial(_write, graph, last, source, axis, inner, context), *inner)


def _division(div: gs.Node, context: Context) -> tuple[gs.Tensor, int, list[gs.Node]] | None:
    exponential, total = producer(div.inputs[0], "Exp"), producer(div.inputs[1], "ReduceSum")
    if exponential is None or total is None or total.inputs[0] is not exponential.outputs[0]:
        return None
    rank = context.rank(exponential.inputs[0]) or 0
    axis = single_kept_axis(total, rank, context) if rank >= FEWEST_DIMS else None
    if axis is None:
        return None
    difference = producer(exponential.inputs[0], "Sub")
    largest = producer(difference.inputs[1], "ReduceMax") if difference is not None else None
    if difference is None or largest is None or largest.inputs[0] is not difference.inputs[0]:
        return exponential.inputs[0], axis, [exponential, total]
    if single_kept_axis(largest, rank, context) != axis:
        return exponential.inputs[0], axis, [exponential, total]
    return difference.inputs[0], axis, [largest, difference, exponential, total]


def _exponential(node: gs.Node, context: Context) -> tuple[gs.Tensor, int, list[gs.Node]] | None:
    log = producer(node.inputs[0], "LogSoftmax")
    rank = context.rank(log.inputs[0]) if log is not None else None
    if log is None or rank is None or rank < FEWEST_DIMS:
        return None
    return log.inputs[0], int(log.attrs.get("axis", -1)) % rank, [log]


def _write(
    graph: gs.Graph, last: gs.Node, source: gs.Tensor, axis: int, inner: list[gs.Node], context: Context
) -> None:
    build = Build(graph, last, context, CODE)
    rank = len(source.shape)
    build.replace(build("Softmax", source, axis=-1 if axis == rank - 1 else axis))
    for node in inner:
        disconnect(graph, node)


PASS = Pass(code=CODE, name="decomposed-softmax", find=find, exact=False, kind="speed", removes_overflow=True)
