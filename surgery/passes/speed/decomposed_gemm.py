"""A product of matrices followed by the addition of a constant row.

What it does: writes MatMul and Add as one Gemm.
Why: one node less, and a later pass can merge the bias with the nodes that follow. TensorRT and onnxruntime do the
same.
Before → After: `y = Add(MatMul(x: [m, k], w: [k, n]), b: [n])` → `y = Gemm(x, w, b)`
Leaves alone: products of more than two dims; weights that are computed, because they may be dequantized ones; types
other than float32; a product that is read elsewhere or is a graph output; an addition that makes the product larger.
Numerics: within rounding: the bias may be added before the sum instead of after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG211"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:
        return
    for node in context.nodes(graph, "Add"):
        for place in (0, 1):
            product, bias = producer(node.inputs[place], "MatMul"), node.inputs[1 - place]
            if product is not None and _is_linear(graph, product, bias, context):
                message = f"adds a constant to the product '{product.name}'"
                yield finding(message, node, partial(_write, graph, node, product, bias, context), product)
                break


def _is_linear(graph: gs.Graph, product: gs.Node, bias: gs.Tensor, context: Context) -> bool:
    result, weights = product.outputs[0], product.inputs[1]
    if len(result.outputs) != 1 or context.is_output(graph, result):
        return False
    if context.rank(product.inputs[0]) != 2 or not all(isinstance(t, gs.Constant) for t in (weights, bias)):
        return False
    if weights.dtype != np.float32 or bias.dtype != np.float32 or len(weights.shape) != 2:
        return False
    dims = [1, 1, *bias.shape][-2:]
    return len(bias.shape) <= 2 and dims[0] == 1 and dims[1] in (1, weights.shape[1])


def _write(graph: gs.Graph, node: gs.Node, product: gs.Node, bias: gs.Tensor, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Gemm", product.inputs[0], product.inputs[1], bias))


PASS = Pass(code=CODE, name="decomposed-gemm", find=find, exact=False, kind="speed")
