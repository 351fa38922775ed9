"""Operators that compute on eight-bit integers.

What it does: casts eight-bit inputs to int32 (float32 for pooling, resizing and sorting), computes, wraps the result to
eight bits with Mod if it may leave that range, and casts back.
Why: TensorRT has no layer that computes in UINT8, and for some operators none in INT8 either; both are types of graph
inputs and outputs and of quantized tensors.
Before → After: `c = Add(a, b)` in uint8 → `c = Cast<uint8>(Mod(Cast<int32>(a) + Cast<int32>(b), 256))`
Leaves alone: operators the target takes in that type; quantization operators; inputs of unknown type; outputs
declared with another type than the operator gives.
Numerics: exact, wrapping around as eight-bit arithmetic does; eight bits fit int32 and float32 without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.schemas import schema
from surgery.passes.ops.bits import wrapped
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

ARITHMETIC = {"Add", "Sub", "Mul", "Neg", "Abs", "Sum", "ReduceSum", "ReduceProd", "Pow"}
AS_FLOAT = {"MaxPool", "Resize", "TopK", "ArgMax", "ArgMin", "Upsample", "GridSample", "DepthToSpace", "SpaceToDepth"}
SAME = {
    "Div", "Min", "Max", "Mod", "Clip", "Sign", "Where", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal",
    "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Gather", "GatherElements", "GatherND", "Slice",
    "Concat", "Expand", "Tile", "Split", "Pad", "ReduceMax", "ReduceMin", "ScatterElements", "Relu", "CumSum",
    "ScatterND", "Trilu", "EyeLike", "OneHot", "ReverseSequence", "Compress", "Unique",
}  # fmt: skip
COMPUTING = ARITHMETIC | AS_FLOAT | SAME
UINT8, INT8 = np.dtype(np.uint8), np.dtype(np.int8)
REFUSED_INT8 = {"Clip", "Mod", "Relu", "Sign", "ReduceSum", "ReduceMax", "ReduceMin"}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        if node.domain not in (None, "", "ai.onnx") or node.op not in COMPUTING:
            continue
        kinds = {np.dtype(tensor.dtype) for tensor in node.inputs if tensor.dtype is not None}
        refused = UINT8 in kinds or (INT8 in kinds and node.op in REFUSED_INT8)
        if refused and not misdeclared(node, context):
            kind = "uint8" if UINT8 in kinds else "int8"
            yield finding(f"{node.op} computes in {kind}", node, partial(rewrite, graph, node, context))


def misdeclared(node: gs.Node, context: Context) -> bool:
    """Whether an output is declared to have another type than the input whose type it shares."""
    known = schema(node.op, "", context.opset)
    if known is None:
        return True
    kinds = {formal.type_str: tensor.dtype for formal, tensor in zip(known.inputs, node.inputs, strict=False)}
    pairs = [(kinds.get(f.type_str), out.dtype) for f, out in zip(known.outputs, node.outputs, strict=False)]
    return any(None not in pair and np.dtype(pair[0]) != np.dtype(pair[1]) for pair in pairs)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Cast, compute, wrap, cast back."""
    build = Build(graph, node, context, PASS.code)
    work = np.float32 if node.op in AS_FLOAT else np.int32
    inputs = [build.cast(tensor, work) if eight_bit(tensor) else tensor for tensor in node.inputs]
    results = build(node.op, *inputs, outputs=len(node.outputs), **node.attrs)
    back = []
    for result, output in zip((results,) if len(node.outputs) == 1 else results, node.outputs, strict=True):
        if output.is_empty() or not eight_bit(output):
            back.append(result)
            continue
        value = build.cast(result, np.int32)
        if node.op in ARITHMETIC or (node.op == "Div" and np.dtype(output.dtype).kind == "i"):
            value = wrapped(build, value, output.dtype)
        back.append(build.cast(value, output.dtype))
    build.replace(*back)


def eight_bit(tensor: gs.Tensor) -> bool:
    """Whether the tensor holds int8 or uint8."""
    return tensor.dtype is not None and np.dtype(tensor.dtype) in (UINT8, INT8)


PASS = Pass(code="SG103", name="eight-bit-operator", find=find, exact=True, kind="replace", feature="uint8-arithmetic")
