"""Eight-bit numbers with a zero point other than 0 that a product with stored weights reads.

What it does: shifts the numbers to int8 with zero point 0. The shift adds the same amount to the product for every
input, so that amount is subtracted from the bias. Zero padding of a picture is inserted before the picture is
quantized. Other readers get the same value as before, in floating point: rounded, clipped and scaled.
Why: TensorRT has INT8 products for symmetric int8 quantization only.
Before → After: `y = Conv(DequantizeLinear(QuantizeLinear(x, s, z), s, z), w, b)` → `q = QuantizeLinear(Round(x / s) +
z, 1); y = Conv(DequantizeLinear(q, s), w, b - s * z * sum of w)` in int8
Leaves alone: numbers that no product reads (`zero-point-pair` writes them out); graph outputs, numbers that operators
other than DequantizeLinear read, a scale for each channel. Products stay in floating point if their weights are not
int8 with zero point 0, their bias is computed, or `auto_pad` sets their padding.
Numerics: the numbers are the same, shifted; products are within rounding, so that the next eight-bit number may be a
step away where the product lies halfway between two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.passes.ops.quantize import (
    optional_input,
    shift_from_middle,
    shifted_readers,
    single_number,
    within_range,
)
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

PRODUCTS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class Product:
    """A product that reads shifted numbers: the shift adds `taken` times scale times shift to its result."""

    node: gs.Node
    pads: tuple[int, ...]
    taken: np.ndarray
    bias: np.ndarray | None


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "QuantizeLinear"):
        readers = shifted_readers(graph, node, context)
        products = [found.node for each in readers for found in _products(graph, each.outputs[0], context)]
        if products:
            message = f"a product reads eight-bit numbers with zero point {single_number(node.inputs[2], context)}"
            yield finding(message, node, partial(rewrite, graph, node, context), *readers, *products)


def _products(graph: gs.Graph, wide: gs.Tensor, context: Context) -> list[Product]:
    """The products with stored int8 weights that read the dequantized numbers."""
    if context.is_output(graph, wide):
        return []
    found = [_product(node, wide, context) for node in wide.outputs if node.op in PRODUCTS and not node.domain]
    return [product for product in found if product is not None]


def _product(node: gs.Node, wide: gs.Tensor, context: Context) -> Product | None:
    if node.inputs[0] is not wide or node.inputs[1] is wide:
        return None
    weights = _stored_weights(node.inputs[1], context)
    given = optional_input(node, 2) if node.op != "MatMul" else None
    bias = None if given is None else _floats(given, context)
    if weights is None or (given is not None and bias is None):
        return None
    if node.op == "Conv":
        padded = text(node.attrs.get("auto_pad", "NOTSET")) in ("NOTSET", "VALID", "")
        pads = tuple(int(size) for size in node.attrs.get("pads", ())) if padded else None
        taken = weights.sum(axis=tuple(range(1, weights.ndim)))
        return None if pads is None else Product(node, pads if any(pads) else (), taken, bias)
    if node.op == "MatMul":
        return Product(node, (), weights.sum(axis=-2), None) if weights.ndim == 2 else None
    plain = float(node.attrs.get("beta", 1.0)) == 1 and not node.attrs.get("transA")
    columns = weights.sum(axis=1 if node.attrs.get("transB") else 0) * float(node.attrs.get("alpha", 1.0))
    return Product(node, (), columns, bias) if plain else None


def _stored_weights(tensor: gs.Tensor, context: Context) -> np.ndarray | None:
    """Constant int8 weights around 0, dequantized, as float64."""
    maker = producer(tensor, "DequantizeLinear")
    if maker is None or maker.domain or np.dtype(maker.inputs[0].dtype or np.float32) != np.int8:
        return None
    zero = optional_input(maker, 2)
    value = None if zero is None else context.constant(zero)
    return None if zero is not None and (value is None or np.any(value)) else _floats(tensor, context)


def _floats(tensor: gs.Tensor, context: Context) -> np.ndarray | None:
    """A constant as float64, dequantized where it is stored in integers."""
    value = context.constant(tensor)
    if value is not None:
        return np.asarray(value, np.float64) if value.dtype == np.float32 else None
    maker = producer(tensor, "DequantizeLinear")
    if maker is None or maker.domain or maker.attrs.get("block_size"):
        return None
    zero = optional_input(maker, 2)
    stored, scale = context.constant(maker.inputs[0]), context.constant(maker.inputs[1])
    shift = np.zeros(1) if zero is None else context.constant(zero)
    if stored is None or scale is None or shift is None:
        return None
    along = _along(scale, stored.ndim, int(maker.attrs.get("axis", 1)))
    return np.asarray((stored.astype(np.float64) - _along(shift, stored.ndim, int(maker.attrs.get("axis", 1)))) * along)


def _along(parameter: np.ndarray, rank: int, axis: int) -> np.ndarray:
    shape = [1] * rank
    if parameter.size > 1:
        shape[axis % rank] = -1
    return parameter.astype(np.float64).reshape(shape)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Quantize without a zero point for products, round and clip for other readers."""
    readers, shift = list(node.outputs[0].outputs), shift_from_middle(node, context) or 0
    build = Build(graph, node, context, PASS.code)
    step = build.constant(single_number(node.inputs[1], context), np.float32)
    whole = build("Round", build("Div", node.inputs[0], step))
    moved: gs.Tensor | None = None
    narrow: dict[tuple[int, ...], gs.Tensor] = {}
    for reader in readers:
        scale = single_number(reader.inputs[1], context)
        for product in _products(graph, reader.outputs[0], context):
            moved = build("Add", whole, float(shift)) if moved is None else moved
            if product.pads not in narrow:
                narrow[product.pads] = _narrowed(build, moved, product.pads, shift)
            wide = build("DequantizeLinear", narrow[product.pads], np.float32(scale))
            _read_shifted(build, product, wide, scale * shift)
    plain = [each for each in readers if each.outputs[0].outputs or context.is_output(graph, each.outputs[0])]
    if plain:
        within = within_range(build, whole, shift)
    build.insert()
    for reader in plain:
        last = Build(graph, reader, context, PASS.code)
        last.replace(last("Mul", within, np.float32(single_number(reader.inputs[1], context))))


def _narrowed(build: Build, moved: gs.Tensor, pads: tuple[int, ...], shift: int) -> Any:
    """The shifted numbers as int8, padded with the number that stands for 0."""
    if pads:
        half = len(pads) // 2
        sizes = build.ints([0, 0, *pads[:half], 0, 0, *pads[half:]])
        moved = build("Pad", moved, sizes, build.constant(shift, np.float32))
    return build("QuantizeLinear", moved, np.float32(1), build.constant(0, np.int8))


def _read_shifted(build: Build, product: Product, wide: gs.Tensor, moved_by: float) -> None:
    """Let a product read the shifted numbers, and subtract from its bias what the shift adds."""
    node, context = product.node, build.context
    replace_input(node, 0, wide)
    if product.pads:
        node.attrs["pads"] = [0] * len(product.pads)
    offset = (0 if product.bias is None else product.bias) - moved_by * product.taken
    stored = build.constant(np.asarray(offset), np.float32)
    if node.op != "MatMul":
        if len(node.inputs) > 2:
            replace_input(node, 2, stored)
        else:
            node.inputs.append(stored)
        return
    after = Build(build.graph, node, context, PASS.code)
    after.replace(after("Add", after("MatMul", *node.inputs), stored))


PASS = Pass(
    code="SG198",
    name="shifted-quantization",
    find=find,
    exact=False,
    kind="replace",
    feature="quantize-zero-point",
    moves_steps=True,
)
