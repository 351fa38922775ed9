"""UINT8 tensors in the middle of the graph.

What it does: where a Cast to uint8 is followed by another Cast, connects the second one to the value before the first,
wrapped to eight bits with Mod. Shape and Size, which do not depend on the type, read the value before the first Cast.
A graph input in uint8 that a branch of an If casts is cast in front of the If.
Why: TensorRT has UINT8 only for graph inputs and outputs, and hands no such input to a branch.
Before → After: `q = Cast<uint8>(x); y = Cast<float>(q)` → `y = Cast<float>(Mod(Cast<int32>(x), 256))`
Leaves alone: graph outputs in uint8; readers other than Cast (see eight-bit-operator); float64 and unknown types.
Numerics: exact; floats outside 0 to 255 have no defined uint8 value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.walk import nodes_inside, producer
from surgery.passes.ops.bits import wrapped
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Cast"):
        tensor = node.inputs[0]
        maker = producer(tensor, "Cast")
        if maker is None or maker.attrs.get("to") != onnx.TensorProto.UINT8:
            continue
        if maker.inputs[0].dtype is not None and node.attrs.get("to") != onnx.TensorProto.UINT8:
            message = f"'{tensor.name}' is UINT8 and neither graph input nor output"
            yield finding(message, node, partial(rewrite, graph, node, context, maker.inputs[0]))
    for node in context.nodes(graph, "Shape", "Size"):
        maker = producer(node.inputs[0], "Cast")
        if maker is not None and maker.attrs.get("to") == onnx.TensorProto.UINT8:
            message = f"'{node.inputs[0].name}' is UINT8 and neither graph input nor output"
            yield finding(message, node, partial(replace_input, node, 0, maker.inputs[0]))
    for tensor in graph.inputs:
        if graph is context.root and tensor.dtype == np.uint8:
            yield from _inside(graph, tensor, context)


def _inside(graph: gs.Graph, tensor: gs.Tensor, context: Context) -> Iterator[Finding]:
    """Nodes whose branches cast this input or read its shape."""
    for node in context.nodes(graph, "If"):
        readers = [
            inner
            for inner in nodes_inside(node)
            if inner.op in ("Cast", "Shape", "Size") and not inner.domain and inner.inputs[0] is tensor
        ]
        readers = [reader for reader in readers if reader.attrs.get("to") != onnx.TensorProto.UINT8]
        if readers:
            message = f"a branch reads the UINT8 input '{tensor.name}'"
            yield finding(message, node, partial(_hoist, graph, node, tensor, readers, context), *readers)


def _hoist(graph: gs.Graph, node: gs.Node, tensor: gs.Tensor, readers: list[gs.Node], context: Context) -> None:
    """Cast in front of the If."""
    build = Build(graph, node, context, PASS.code)
    kinds = dict.fromkeys(reader.attrs["to"] for reader in readers if reader.op == "Cast")
    wide = {kind: build("Cast", tensor, to=kind) for kind in kinds or (onnx.TensorProto.INT32,)}
    build.insert()
    for reader in readers:
        replace_input(reader, 0, wide[reader.attrs["to"]] if reader.op == "Cast" else next(iter(wide.values())))
        if reader.op == "Cast":
            reader.op = "Identity"
            reader.attrs.clear()


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, source: gs.Tensor) -> None:
    """Cast from the value before the Cast to uint8."""
    build = Build(graph, node, context, PASS.code)
    value = source
    if np.dtype(source.dtype).kind != "b":
        value = build.cast(source, np.int64 if np.dtype(source.dtype) == np.int64 else np.int32)
        value = value if fits(value) else wrapped(build, value, np.uint8)
    build.replace(build("Cast", value, to=node.attrs["to"]))


def fits(value: gs.Tensor) -> bool:
    """Whether the value surely lies in 0..255: by the bounds of what it comes from, rounded or not."""
    return _bounded(value, "below") and _bounded(value, "above")


def _bounded(value: gs.Tensor, side: str) -> bool:
    """Whether a value is at least 0 ("below") or at most 255 ("above"), as `passes.ops.quantize` writes such bounds."""
    maker = producer(value)
    if maker is None or maker.domain:
        return False
    if maker.op == "Round" or (maker.op == "Cast" and np.dtype(value.dtype).name in ("int32", "float32")):
        return _bounded(maker.inputs[0], side)
    if maker.op == "Mod":
        divisor = Context.constant(maker.inputs[1])
        return divisor is not None and bool(np.all(divisor == 256)) and not maker.attrs.get("fmod")
    if maker.op == "Clip":
        place = 1 if side == "below" else 2
        return len(maker.inputs) > place and _within(maker.inputs[place])
    if maker.op == "Min" and len(maker.inputs) == 2 and _within(maker.inputs[1]):
        return side == "above" or _bounded(maker.inputs[0], side)
    return side == "below" and maker.op == "Where" and _larger(maker)


def _larger(choice: gs.Node) -> bool:
    """Whether a Where gives the larger one of a value and a constant of at least 0."""
    condition, value, least = choice.inputs
    maker = producer(condition, "Greater")
    if maker is None or maker.inputs[0] is not value:
        return False
    bounds = [Context.constant(tensor) for tensor in (maker.inputs[1], least)]
    same = bounds[0] is not None and bounds[1] is not None and np.array_equal(bounds[0], bounds[1])
    return same and _within(least)


def _within(bound: gs.Tensor) -> bool:
    number = Context.constant(bound)
    return number is not None and bool(np.all((number >= 0) & (number <= 255)))


PASS = Pass(
    code="SG104", name="eight-bit-intermediate", find=find, exact=True, kind="replace", feature="uint8-intermediate"
)
