"""QuantizeLinear and DequantizeLinear with a zero point, an unsigned type or INT32, or parameters computed at run time.

What it does: writes them as a division by the scale or a multiplication with it, and Round, Add, Clip and Cast. Biases
that onnxruntime's quantizer stored as INT32 become floating point.
Why: TensorRT takes symmetric quantization only: int8, zero points of zero, constant parameters.
Before → After: `q = QuantizeLinear(x, s, z)` → `q = Cast<uint8>(Clip(Round(x / s) + z, 0, 255))`
Leaves alone: quantization that the target takes or whose result nothing reads; blocked quantization; types other than
int8, uint8 and int32; a zero point or type that is not known.
Numerics: exact: onnxruntime divides in float32 as well.
NaN becomes the lowest number of the type, as in onnxruntime.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import RANGES, broadcastable, optional_input, quantized, without_zero_point
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "QuantizeLinear", "DequantizeLinear"):
        narrow = node.outputs[0] if node.op == "QuantizeLinear" else node.inputs[0]
        wide = node.inputs[0] if node.op == "QuantizeLinear" else node.outputs[0]
        if narrow.dtype is None or wide.dtype is None or wide.shape is None or node.attrs.get("block_size"):
            continue
        kinds = np.dtype(narrow.dtype).name, np.dtype(wide.dtype).name
        if kinds[0] not in (*RANGES, "int32") or kinds[1] not in ("float32", "float16"):
            continue
        if not node.outputs[0].outputs and not context.is_output(graph, node.outputs[0]):
            continue
        if asymmetric(node, narrow, context):
            yield finding(
                "not symmetric int8 quantization with constant parameters", node, partial(rewrite, graph, node, context)
            )


def asymmetric(node: gs.Node, narrow: gs.Tensor, context: Context) -> bool:
    """Whether it is not int8, its zero point is not zero, or its parameters are not constants."""
    zero_point = optional_input(node, 2)
    if np.dtype(narrow.dtype) != np.int8 or context.constant(node.inputs[1]) is None:
        return True
    value = None if zero_point is None else context.constant(zero_point)
    return zero_point is not None and (value is None or bool(np.any(value != 0)))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Plain arithmetic in the type of the floating-point side."""
    build = Build(graph, node, context, PASS.code)
    source, scale = node.inputs[:2]
    axis, zero_point = int(node.attrs.get("axis", 1)), optional_input(node, 2)
    wide = source if node.op == "QuantizeLinear" else node.outputs[0]
    rank = len(wide.shape)
    factor = build.cast(broadcastable(build, scale, rank, axis), wide.dtype)
    if node.op == "QuantizeLinear":
        value = build("Div", source, factor)
        build.replace(quantized(build, value, zero_point, rank, axis, node.outputs[0].dtype))
    else:
        value = without_zero_point(build, source, zero_point, rank, axis, wide.dtype)
        build.replace(build("Mul", value, factor))


PASS = Pass(
    code="SG160",
    name="asymmetric-quantization",
    find=find,
    exact=True,
    kind="replace",
    feature="quantize-zero-point",
)
