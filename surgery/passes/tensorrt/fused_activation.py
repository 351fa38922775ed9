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
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import contrib_nodes, float_kind, given
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

ATTRIBUTES = {"Gelu": (), "BiasGelu": (), "FastGelu": (), "QuickGelu": ("alpha",), "BiasSplitGelu": ()}
ALPHA = 1.702  # QuickGelu's default


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in contrib_nodes(graph, context, ATTRIBUTES):
        kind = float_kind(node, 0, 1)
        wide = node.op != "BiasSplitGelu" or isinstance((node.inputs[1].shape or [None])[-1], int)
        if kind is not None and wide:
            message = f"{context.target.name} has no {node.op}, which onnxruntime's optimiser writes"
            yield finding(message, node, partial(rewrite, graph, node, context, kind))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, kind: Any) -> None:
    """Write the activation in plain operators."""
    build = Build(graph, node, context, PASS.code)
    value, bias = node.inputs[0], given(node, 1)
    if bias is not None:
        value = build("Add", value, bias)
    if node.op == "QuickGelu":
        alpha = float(node.attrs.get("alpha", ALPHA))
        build.replace(build("Mul", value, build("Sigmoid", build("Mul", value, kind.type(alpha)))))
    elif node.op == "BiasSplitGelu":
        width = node.inputs[1].shape[-1] // 2
        left, right = (build.slice(value, [-1], [start], [start + width]) for start in (0, width))
        build.replace(build("Mul", left, gelu(build, right, kind)))
    else:
        build.replace(gelu(build, value, kind, tanh=node.op == "FastGelu"))


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


PASS = Pass(code="SG163", name="fused-activation", find=find, exact=False, kind="replace")
