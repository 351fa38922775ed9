"""A scale or an offset for each channel after a convolution or Gemm: BatchNormalization, Mul, Div, Add and Sub.

What it does: multiplies the weights by the scale and adds the offset to the bias, computed in float64. Several such
nodes in a row are merged together.
Why: fewer nodes, and the file holds the weights that are really used. TensorRT does the same when it builds an engine,
and onnxruntime when it loads a model.
Before → After: `y = BatchNormalization(Conv(x, w), s, b, m, v)` → `y = Conv(x, w * f, b - m * f)` with
`f = s / Sqrt(v + epsilon)`
Leaves alone: weights, scales and offsets that are computed or are not float32; weights of over 64 KB that other nodes
read; a convolution whose own result is read elsewhere; BatchNormalization in training mode or before opset 9; Gemm
before opset 9; factors that take weights out of the range of float32.
Numerics: within rounding. Where the convolution overflows and the scale is small, the result is finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import has_reference
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG210"
SHARED = 64 << 10  # bytes of weights that may be stored once more where other nodes read them too
Affine = tuple["np.ndarray | None", np.ndarray]  # factor (None for one) and offset, float64[channels]


@dataclass(frozen=True)
class Product:
    """A Conv, ConvTranspose or Gemm with constant weights of its own; its result has `rank` dims, channels in dim 1."""

    node: gs.Node
    channels: int
    rank: int


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Conv", "ConvTranspose", "Gemm"):
        product = _product(node, context)
        if product is None:
            continue
        row = list(_row(graph, product, context))
        merged = _merged(product, [affine for _, affine in row]) if row else None
        if merged is not None:
            last = row[-1][0]
            message = f"its constants can be part of the weights and bias of '{node.name}'"
            yield finding(
                message, last, partial(_merge, graph, last, node, merged, context), node, *(n for n, _ in row)
            )


def _product(node: gs.Node, context: Context) -> Product | None:
    weights, bias = node.inputs[1], optional_input(node, 2)
    constants = [weights] if bias is None else [weights, bias]
    if not all(isinstance(tensor, gs.Constant) and tensor.dtype == np.float32 for tensor in constants):
        return None
    dims = [int(dim) for dim in weights.shape]
    shared = len(weights.outputs) != 1 and weights.values.nbytes > SHARED
    if shared or any(dim < 1 for dim in dims):
        return None
    if node.op == "Gemm":
        if len(dims) != 2 or context.opset < 9:
            return None
        product = Product(node, dims[0] if node.attrs.get("transB") else dims[1], 2)
        return product if bias is None or _each_channel(np.empty(bias.shape), product) is not None else None
    if len(dims) < 3:
        return None
    groups = int(node.attrs.get("group", 1))
    product = Product(node, dims[0] if node.op == "Conv" else dims[1] * groups, len(dims))
    fits = groups > 0 and dims[0] % groups == 0
    return product if fits and (bias is None or tuple(bias.shape) == (product.channels,)) else None


def _row(graph: gs.Graph, product: Product, context: Context) -> Iterator[tuple[gs.Node, Affine]]:
    """The nodes behind the product that scale or shift its channels, and what they do."""
    tensor = product.node.outputs[0]
    while len(tensor.outputs) == 1 and not context.is_output(graph, tensor):
        node = tensor.outputs[0]
        affine = _affine(graph, node, tensor, product, context)
        if affine is None:
            return
        yield node, affine
        tensor = node.outputs[0]


def _affine(graph: gs.Graph, node: gs.Node, tensor: gs.Tensor, product: Product, context: Context) -> Affine | None:
    here = context.memo(f"nodes {id(graph)}", lambda: {id(other) for other in graph.nodes})
    if node.domain or id(node) not in here or has_reference(node):
        return None
    if node.op == "BatchNormalization":
        return _normalization(graph, node, tensor, product, context)
    if node.op not in ("Mul", "Div", "Add", "Sub") or len(node.inputs) != 2 or context.opset_of(graph) < 7:
        return None
    first = node.inputs[0] is tensor
    other = node.inputs[1 if first else 0]
    value = context.constant(other)
    if value is None or other.dtype != np.float32 or (node.op == "Div" and not first):
        return None
    row = _each_channel(value.astype(np.float64), product)
    if row is None or not np.isfinite(row).all() or (node.op == "Div" and not row.all()):
        return None
    if node.op in ("Mul", "Div"):
        return (row if node.op == "Mul" else 1 / row), np.zeros(product.channels)
    if node.op == "Add" or first:
        return None, (row if node.op == "Add" else -row)
    return np.full(product.channels, -1.0), row


def _normalization(
    graph: gs.Graph, node: gs.Node, tensor: gs.Tensor, product: Product, context: Context
) -> Affine | None:
    plain = context.opset_of(graph) >= 9 and len(node.outputs) == 1 and not node.attrs.get("training_mode")
    operands = node.inputs[1:]
    if not plain or node.inputs[0] is not tensor or any(operand.dtype != np.float32 for operand in operands):
        return None
    values = [context.constant(operand) for operand in operands]
    known = [value.astype(np.float64) for value in values if value is not None]
    if len(known) != 4 or any(value.shape != (product.channels,) for value in known):
        return None
    scale, shift, mean, variance = known
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + np.float32(node.attrs.get("epsilon", 1e-5)))
        offset = shift - mean * factor
    return (factor, offset) if np.isfinite(factor).all() and np.isfinite(offset).all() else None


def _each_channel(value: np.ndarray, product: Product) -> np.ndarray | None:
    """One number for each channel from what broadcasts over everything else; None where it does not."""
    if value.ndim > product.rank:
        return None
    dims = [1] * (product.rank - value.ndim) + list(value.shape)
    if any(dim != 1 for axis, dim in enumerate(dims) if axis != 1) or dims[1] not in (1, product.channels):
        return None
    return np.broadcast_to(value.reshape(-1), (product.channels,))


def _merged(product: Product, affines: list[Affine]) -> tuple[np.ndarray | None, np.ndarray] | None:
    """New weights (None for the old ones) and bias, or None where they leave the range of float32."""
    node = product.node
    factor: np.ndarray | None = None
    bias = optional_input(node, 2)
    offset = np.zeros(product.channels)
    if bias is not None:
        given = _each_channel(np.asarray(bias.values, np.float64), product) if node.op == "Gemm" else bias.values
        offset = offset + np.asarray(given, np.float64) * (node.attrs.get("beta", 1.0) if node.op == "Gemm" else 1.0)
    for scale, shift in affines:
        if scale is not None:
            factor, offset = (scale if factor is None else factor * scale), offset * scale
        offset = offset + shift
    with np.errstate(over="ignore"):
        weights = None if factor is None else _scaled(product, factor).astype(np.float32)
        added = offset.astype(np.float32)
    finite = np.isfinite(added).all() and (weights is None or np.isfinite(weights).all())
    return (weights, added) if finite else None


def _scaled(product: Product, factor: np.ndarray) -> np.ndarray:
    node = product.node
    result: np.ndarray = np.array(node.inputs[1].values, np.float64)
    if node.op == "Gemm":
        result *= factor[:, None] if node.attrs.get("transB") else factor
    elif node.op == "Conv":
        result *= factor.reshape(-1, *[1] * (result.ndim - 1))
    else:
        groups = int(node.attrs.get("group", 1))
        parts = result.reshape(groups, result.shape[0] // groups, *result.shape[1:])
        parts *= factor.reshape(groups, 1, -1, *[1] * (result.ndim - 2))
    return result


def _merge(
    graph: gs.Graph,
    last: gs.Node,
    node: gs.Node,
    merged: tuple[np.ndarray | None, np.ndarray],
    context: Context,
) -> None:
    build = Build(graph, last, context, CODE)
    values, offset = merged
    weights = node.inputs[1] if values is None else build.constant(values, np.float32)
    attributes = {name: value for name, value in node.attrs.items() if name != "beta"}
    build.replace(build(node.op, node.inputs[0], weights, build.constant(offset, np.float32), **attributes))


PASS = Pass(code=CODE, name="affine-after-convolution", find=find, exact=False, kind="speed", removes_overflow=True)
