"""A node that adds zero, multiplies or divides by one, or combines with the constant that changes no truth value.

What it does: removes Mul and Div by one, Sub of zero, Add of zero, And with true and Or with false. The constants may
be stored in eight bits and dequantized.
Why: TensorRT imports each of them as a layer. Exporters write them for weights at their starting values: biases of
zero, scales of one.
Before → After: `y = MatMul(x, w); z = Add(y, [0, 0])` → `z = MatMul(x, w)`
Leaves alone: a constant that makes the result larger than the other operand; Add of a float +0.0, since it turns -0.0
into +0.0, unless a product makes the other operand (its zeros are positive already) or no output of the graph shows
the sign (products, softmax, comparisons, quantization and a sum with a constant give the same for both zeros); Sub of
-0.0 for the same reason; a node between a graph input and a graph output.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, can_bypass
from surgery.graph.walk import producer
from surgery.passes.ops.quantize import stored_value
from surgery.passes.ops.zero_sign import shows_zero_sign
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

PRODUCTS = ("MatMul", "Conv", "ConvTranspose")
Rule = Callable[[Any, gs.Tensor], bool]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:  # elementwise operators broadcast by other rules before opset 7
        return
    for op, (places, is_neutral) in RULES.items():
        for node in context.nodes(graph, op):
            for place in places:
                value, other = stored_value(node.inputs[place], context), 1 - place
                if value is None or not value.size:
                    continue
                neutral = is_neutral(value, node.inputs[other])
                if not neutral and not _changes_signs_only(op, value, node.outputs[0], graph, context):
                    continue
                if _keeps_shape(value, node.inputs[other]) and can_bypass(graph, node, other):
                    message = f"returns '{node.inputs[other].name}' unchanged"
                    yield finding(message, node, partial(bypass, graph, node, other))
                    break


def _changes_signs_only(op: str, value: Any, result: gs.Tensor, graph: gs.Graph, context: Context) -> bool:
    """Whether the node changes nothing but the sign of zeros, which no output of the graph shows."""
    return op in ("Add", "Sub") and not value.any() and not shows_zero_sign(graph, result, context)


def _keeps_shape(value: Any, other: gs.Tensor) -> bool:
    """Whether the result has the shape of `other`, whatever its free dims are."""
    if other.shape is None or value.ndim > len(other.shape):
        return False
    dims = other.shape[len(other.shape) - value.ndim :]
    return all(mine in (1, dim) for mine, dim in zip(value.shape, dims, strict=True))


def _is_one(value: Any, other: gs.Tensor) -> bool:
    return bool((value == 1).all())


def _is_positive_zero(value: Any, other: gs.Tensor) -> bool:
    return bool((value == 0).all()) and not (_is_float(value) and _signs(value).any())


def _is_neutral_in_sum(value: Any, other: gs.Tensor) -> bool:
    if not (value == 0).all():
        return False
    return not _is_float(value) or bool(_signs(value).all()) or producer(other, *PRODUCTS) is not None


def _is_float(value: Any) -> bool:
    return value.dtype.kind not in "iub"


def _signs(value: Any) -> Any:
    return np.signbit(value.astype(np.float64))


RULES: dict[str, tuple[tuple[int, ...], Rule]] = {
    "Mul": ((0, 1), _is_one),
    "Div": ((1,), _is_one),
    "Sub": ((1,), _is_positive_zero),
    "Add": ((0, 1), _is_neutral_in_sum),
    "And": ((0, 1), lambda value, other: bool(value.all())),
    "Or": ((0, 1), lambda value, other: not value.any()),
}

PASS = Pass(code="SG022", name="neutral-operand", find=find, exact=True)
