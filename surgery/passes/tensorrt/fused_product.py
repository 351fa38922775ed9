"""FusedMatMul, TransposeMatMul and FusedGemm of onnxruntime.

What it does: transposes the factors, multiplies them, scales the product, and writes FusedGemm's activation as a node.
Why: onnxruntime's optimiser writes these operators of com.microsoft, which TensorRT's parser does not know.
Before → After: `y = com.microsoft.FusedMatMul<alpha = 0.5, transB = 1>(a, b)` → `p = MatMul(a, Transpose(b)); y = p *
0.5`
Leaves alone: factors to be transposed whose rank is unknown, activations that are not in ONNX, and data of unknown
type.
Numerics: the product is scaled after its sum, as in onnxruntime; rounding differs in the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import contrib_nodes, float_kind, given, text
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

TURNS = ("transA", "transB", "transBatchA", "transBatchB")
ACTIVATION = ("activation", "activation_alpha", "activation_beta", "activation_gamma")
ATTRIBUTES = {
    "FusedMatMul": ("alpha", *TURNS),
    "TransposeMatMul": ("alpha", *TURNS),
    "FusedGemm": ("alpha", "beta", "transA", "transB", *ACTIVATION),
}
ACTIVATIONS: dict[
    str, tuple[str, ...]
] = {  # operator -> its attributes in the order of activation_alpha, _beta, _gamma
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "Softplus": (),
    "Softsign": (),
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in contrib_nodes(graph, context, ATTRIBUTES):
        activation = text(node.attrs.get("activation", ""))
        if float_kind(node, 0, 1) is None or (activation and activation not in ACTIVATIONS):
            continue
        turned = node.op != "FusedGemm" and [0 if turn.endswith("A") else 1 for turn in TURNS if node.attrs.get(turn)]
        if all(context.rank(node.inputs[place]) is not None for place in turned or ()):
            message = f"{context.target.name} has no {node.op}, which onnxruntime's optimiser writes"
            yield finding(message, node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Write the product in plain operators."""
    build = Build(graph, node, context, PASS.code)
    if node.op == "FusedGemm":
        plain = {key: value for key, value in node.attrs.items() if not key.startswith("activation")}
        product = build("Gemm", node.inputs[0], node.inputs[1], given(node, 2), **plain)
        build.replace(activate(build, product, node.attrs))
        return
    left, right = (
        turned(build, tensor, bool(node.attrs.get(f"trans{side}")), bool(node.attrs.get(f"transBatch{side}")))
        for tensor, side in zip(node.inputs, "AB", strict=False)
    )
    product = build("MatMul", left, right)
    alpha = float(node.attrs.get("alpha", 1.0))
    kind = float_kind(node, 0, 1)
    build.replace(product if alpha == 1 else build("Mul", product, np.array(alpha, kind)))


def turned(build: Build, tensor: gs.Tensor, last: bool, batch: bool) -> gs.Tensor:
    """`tensor` with the dims in the order that the product has them in.

    `batch` says that the first dim of the matrix stands in front of the batch dims; `last` that the last two dims of
    what that gives are the other way round. Vectors are as they are.
    """
    rank = build.context.rank(tensor) or 0
    order = list(range(rank))
    if batch and rank > 2:
        order = [*order[1:-1], order[0], order[-1]]
    if last and rank > 1:
        order[-2:] = order[:-3:-1]
    if order == list(range(rank)):
        return tensor
    value = build.context.constant(tensor)
    if value is not None:
        return build.constant(np.ascontiguousarray(value.transpose(order)))
    made: gs.Tensor = build("Transpose", tensor, perm=order)
    return made


def activate(build: Build, value: gs.Tensor, attributes: dict[str, Any]) -> gs.Tensor:
    """`value` after the activation that the attributes of FusedGemm name."""
    activation = text(attributes.get("activation", ""))
    if not activation:
        return value
    numbers: dict[str, Any] = {
        name: float(attributes[f"activation_{name}"])
        for name in ACTIVATIONS[activation]
        if f"activation_{name}" in attributes
    }
    made: gs.Tensor = build(activation, value, **numbers)
    return made


PASS = Pass(code="SG164", name="fused-product", find=find, exact=False, kind="replace")
