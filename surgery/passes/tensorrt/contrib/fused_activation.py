"""Gelu, BiasGelu, FastGelu, QuickGelu and BiasSplitGelu of onnxruntime.

What it does: adds the bias, then writes Gelu (before opset 20 its formula), its tanh approximation, or
`x * Sigmoid(alpha * x)`. BiasSplitGelu multiplies the first half of the last dim by the Gelu of the second.
Why: onnxruntime's optimiser writes these operators of com.microsoft, which TensorRT's parser does not know.
Before → After: `y = com.microsoft.BiasGelu(x, b)` → `a = Add(x, b); y = Gelu(a)`
Leaves alone: functions of the model with these names, attributes that onnxruntime does not document, and data of
unknown type.
Numerics: the same formulas; rounding differs in the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings, split_last
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

ALPHA = 1.702  # QuickGelu's default


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG163", FORMS)


def _biased(build: Build, node: gs.Node) -> gs.Tensor:
    bias = optional_input(node, 1)
    return node.inputs[0] if bias is None else build("Add", node.inputs[0], bias)


def _gelu(build: Build, node: gs.Node) -> gs.Tensor:
    value = _biased(build, node)
    return gelu(build, value, node.inputs[0].dtype, tanh=node.op == "FastGelu")


def _quick(build: Build, node: gs.Node) -> gs.Tensor:
    value, alpha = node.inputs[0], float(node.attrs.get("alpha", ALPHA))
    return build("Mul", value, build("Sigmoid", build("Mul", value, np.dtype(value.dtype).type(alpha))))


def _halved(build: Build, node: gs.Node) -> gs.Tensor:
    left, right = split_last(build, _biased(build, node), [node.inputs[1].shape[-1] // 2] * 2)
    return build("Mul", left, gelu(build, right, node.inputs[0].dtype))


def _known_width(node: gs.Node, context: Context) -> bool:
    return isinstance((node.inputs[1].shape or [None])[-1], int)


def gelu(build: Build, value: gs.Tensor, kind: Any, *, tanh: bool = False) -> Any:
    """Gelu, or its tanh approximation, as one node where the opset has it."""
    if build.opset >= 20:
        return build("Gelu", value, approximate="tanh") if tanh else build("Gelu", value)
    number = np.dtype(kind).type
    if tanh:
        root = math.sqrt(2 / math.pi)
        square = build("Mul", build("Mul", value, value), number(0.044715 * root))
        inner = build("Tanh", build("Mul", value, build("Add", square, number(root))))
    else:
        inner = build("Erf", build("Div", value, number(math.sqrt(2))))
    return build("Mul", build("Mul", value, build("Add", inner, number(1))), number(0.5))


FORMS = {
    "Gelu": Form(_gelu),
    "BiasGelu": Form(_gelu, inputs=2),
    "FastGelu": Form(_gelu),
    "QuickGelu": Form(_quick, attributes=("alpha",)),
    "BiasSplitGelu": Form(_halved, inputs=2, holds=_known_width),
}
PASS = Pass(code="SG163", name="fused-activation", find=find, exact=False, kind="replace")
