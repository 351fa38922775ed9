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

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import ACTIVATIONS, Form, activated, plain_findings, text
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

SIDES = "AB"
TURNS = ("transA", "transB", "transBatchA", "transBatchB")
ACTIVATION = ("activation", "activation_alpha", "activation_beta", "activation_gamma")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG164", FORMS)


def _product(build: Build, node: gs.Node) -> gs.Tensor:
    left, right = (
        turned(build, tensor, bool(node.attrs.get(f"trans{side}")), bool(node.attrs.get(f"transBatch{side}")))
        for tensor, side in zip(node.inputs, SIDES, strict=False)
    )
    product: gs.Tensor = build("MatMul", left, right)
    alpha = float(node.attrs.get("alpha", 1.0))
    return product if alpha == 1 else build("Mul", product, np.array(alpha, node.inputs[0].dtype))


def _gemm(build: Build, node: gs.Node) -> gs.Tensor:
    plain = {name: value for name, value in node.attrs.items() if name not in ACTIVATION}
    product = build("Gemm", node.inputs[0], node.inputs[1], optional_input(node, 2), **plain)
    name = text(node.attrs.get("activation", ""))
    given = {key: f"activation_{key}" for key in ACTIVATIONS[name] if f"activation_{key}" in node.attrs}
    return activated(build, product, name, {key: float(node.attrs[long]) for key, long in given.items()})


def _known_ranks(node: gs.Node, context: Context) -> bool:
    turned_sides = [SIDES.index(turn[-1]) for turn in TURNS if node.attrs.get(turn)]
    return all(context.rank(node.inputs[place]) is not None for place in turned_sides)


def _known_activation(node: gs.Node, context: Context) -> bool:
    name = text(node.attrs.get("activation", ""))
    return name in ACTIVATIONS and name != "Clip"


def turned(build: Build, tensor: gs.Tensor, last: bool, batch: bool) -> gs.Tensor:
    """`tensor` with its dims in the order of the product.

    `batch`: the first dim of the matrix stands before the batch dims. `last`: once that dim is
    behind them, the last two dims are swapped. Vectors do not change.
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


FORMS = {
    **dict.fromkeys(
        ("FusedMatMul", "TransposeMatMul"),
        Form(_product, inputs=2, attributes=("alpha", *TURNS), holds=_known_ranks),
    ),
    "FusedGemm": Form(
        _gemm,
        inputs=2,
        attributes=("alpha", "beta", "transA", "transB", *ACTIVATION),
        holds=_known_activation,
    ),
}
PASS = Pass(code="SG164", name="fused-product", find=find, exact=False, kind="replace")
