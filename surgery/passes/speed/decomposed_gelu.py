"""GELU decomposed into smaller operators around Erf.

What it does: writes `0.5 * x * (1 + erf(x / sqrt(2)))` as Gelu.
Why: onnxruntime runs one kernel instead of five, also where its own fusion does not recognise the order of the factors.
TensorRT compiles both forms to one kernel and only has five nodes fewer to parse.
Before → After: `y = x * (1 + Erf(x / 1.4142135)) * 0.5` → `y = Gelu(x)`
Leaves alone: opset below 20, the tanh approximation, constants that differ or have more dims than the data, and inner
results that other nodes read.
Numerics: within rounding. Above 1.7e38 the result is finite where the original overflows; the comparison with the
original allows this, and the report mentions it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG206"
MINIMUM_OPSET = 20
CLOSE = 1e-5


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < MINIMUM_OPSET:
        return
    for erf in context.nodes(graph, "Erf"):
        found = _read(erf, context)
        if found is None:
            continue
        source, nodes = found
        if any(context.is_output(graph, node.outputs[0]) for node in nodes[:-1]):
            continue
        message = f"GELU is decomposed into {len(nodes)} nodes"
        yield finding(message, nodes[-1], partial(_write, graph, source, nodes, context), *nodes[:-1])


def _read(erf: gs.Node, context: Context) -> tuple[gs.Tensor, list[gs.Node]] | None:
    """The input of the GELU around this Erf and its nodes, the one that makes the result last."""
    inner = producer(erf.inputs[0])
    source = _scaled(inner, 1 / math.sqrt(2), context) if inner is not None else None
    plus = _only_reader(erf, "Add")
    if inner is None or source is None or plus is None or not _holds(plus, erf.outputs[0], 1.0, context):
        return None
    nodes, half, own = [inner, erf, plus], False, False
    while not (half and own):
        last = nodes[-1]
        reader = _only_reader(last, "Mul")
        if reader is None:
            return None
        other = reader.inputs[1] if reader.inputs[0] is last.outputs[0] else reader.inputs[0]
        half_of_source = _scaled(other.inputs[0], 0.5, context) if other.inputs else None
        if not half and _holds(reader, last.outputs[0], 0.5, context):
            half = True
        elif not own and other is source:
            own = True
        elif not half and not own and half_of_source is source and len(other.outputs) == 1:
            half = own = True
            nodes.insert(0, other.inputs[0])
        else:
            return None
        nodes.append(reader)
    return source, nodes


def _only_reader(node: gs.Node, op: str) -> gs.Node | None:
    readers = node.outputs[0].outputs
    return readers[0] if len(readers) == 1 and readers[0].op == op and not readers[0].domain else None


def _holds(node: gs.Node, tensor: gs.Tensor, number: float, context: Context) -> bool:
    """Whether the node combines `tensor` with this constant number."""
    other = node.inputs[1] if node.inputs[0] is tensor else node.inputs[0]
    value = context.number(other, context.rank(tensor))
    return value is not None and abs(value - number) < CLOSE


def _scaled(node: gs.Node, number: float, context: Context) -> gs.Tensor | None:
    """The tensor that the node multiplies by `number`, or divides by its inverse."""
    if node.domain:
        return None
    if node.op == "Div":
        return node.inputs[0] if _holds(node, node.inputs[0], 1 / number, context) else None
    if node.op != "Mul":
        return None
    for place in (0, 1):
        if _holds(node, node.inputs[place], number, context):
            tensor: gs.Tensor = node.inputs[place]
            return tensor
    return None


def _write(graph: gs.Graph, source: gs.Tensor, nodes: list[gs.Node], context: Context) -> None:
    build = Build(graph, nodes[-1], context, CODE)
    build.replace(build("Gelu", source))
    for node in reversed(nodes[:-1]):
        if not node.outputs[0].outputs:
            disconnect(graph, node)


PASS = Pass(code=CODE, name="decomposed-gelu", find=find, exact=False, kind="speed", removes_overflow=True)
