"""A product with weights that is transposed.

What it does: exchanges the operands, so that Gemm writes the transposed result itself.
Why: the Transpose moves the whole result through memory.
Before → After: `Transpose<1,0>(Gemm(x: [m, k], w: [k, n], b: [n]))` →
`Gemm<transA, transB>(w, x, b as [n, 1])`
Leaves alone: products of more than two dims or of two computed tensors; weights that are computed, because they may be
dequantized ones; types other than float32; a product that is read elsewhere or is a graph output; before opset 11 a
product without a bias.
Numerics: within rounding: the same products may be summed in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG212"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:
        return
    for node in context.nodes(graph, "Transpose"):
        product = producer(node.inputs[0], "Gemm", "MatMul")
        if product is None or list(node.attrs.get("perm", [1, 0])) != [1, 0] or not _is_linear(product, context):
            continue
        if optional_input(product, 2) is None and context.opset_of(graph) < 11:
            continue
        if len(node.inputs[0].outputs) == 1 and not context.is_output(graph, node.inputs[0]):
            fix = partial(_write, graph, node, product, context)
            yield finding(f"transposes the product '{product.name}', which can write its result so", node, fix, product)


def _is_linear(product: gs.Node, context: Context) -> bool:
    data, weights, bias = product.inputs[0], product.inputs[1], optional_input(product, 2)
    constants = [weights] if bias is None else [weights, bias]
    if context.rank(data) != 2 or data.dtype != np.float32 or len(weights.shape or ()) != 2:
        return False
    known = all(isinstance(tensor, gs.Constant) and tensor.dtype == np.float32 for tensor in constants)
    return known and not isinstance(data, gs.Constant)


def _write(graph: gs.Graph, node: gs.Node, product: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    attrs, bias = dict(product.attrs), optional_input(product, 2)
    attrs |= {"transA": 1 - attrs.get("transB", 0), "transB": 1 - attrs.get("transA", 0)}
    operands = [product.inputs[1], product.inputs[0]]
    if bias is not None:
        value = np.asarray(bias.values)
        operands.append(build.constant(np.atleast_2d(value).T if value.ndim else value))
    build.replace(build("Gemm", *operands, **attrs))


PASS = Pass(code=CODE, name="transposed-product", find=find, exact=False, kind="speed")
