"""UINT8 tensors in the middle of the graph.

What it does: where a Cast to uint8 is followed by another Cast, connects the second one to the value before the first,
wrapped to eight bits with Mod.
Why: TensorRT has UINT8 only for graph inputs and outputs.
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

from surgery.graph.walk import producer
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


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, source: gs.Tensor) -> None:
    """Cast from what was cast to uint8."""
    build = Build(graph, node, context, PASS.code)
    value = source
    if np.dtype(source.dtype).kind != "b":
        value = build.cast(source, np.int64 if np.dtype(source.dtype) == np.int64 else np.int32)
        value = value if fits(value) else wrapped(build, value, np.uint8)
    build.replace(build("Cast", value, to=node.attrs["to"]))


def fits(value: gs.Tensor) -> bool:
    """Whether the value is seen to lie in 0..255: it comes from a Mod or a Clip that says so, rounded or not."""
    maker = producer(value)
    if maker is None:
        return False
    if maker.op == "Round" or (maker.op == "Cast" and np.dtype(value.dtype).name in ("int32", "float32")):
        return fits(maker.inputs[0])
    bounds = [Context.constant(tensor) for tensor in maker.inputs[1:]]
    if maker.op == "Mod":
        return bounds[0] is not None and bool(np.all(bounds[0] == 256)) and not maker.attrs.get("fmod")
    if maker.op != "Clip" or len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return False
    return bool(bounds[0] >= 0 and bounds[1] <= 255)


PASS = Pass(
    code="SG104", name="eight-bit-intermediate", find=find, exact=True, kind="replace", feature="uint8-intermediate"
)
