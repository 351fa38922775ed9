"""DynamicQuantizeLinear whose result is multiplied or dequantized.

What it does: computes range and scale, divides, rounds and limits in float32 with the zero point taken off at once, so
that no eight-bit numbers and no zero point are left; the product is one of whole float32 numbers. Where the numbers are
never negative, the lowest one is known to be zero.
Why: TensorRT's parser knows neither DynamicQuantizeLinear nor the integer products that read it.
Before → After: `q, s, z = DynamicQuantizeLinear(x); y = Cast(MatMulInteger(q, w, z))` → `s = (high - low) / 255; y =
MatMul(Min(Round(x / s), Round(low / s) + 255), w)`, with `low = Min(ReduceMin(x), 0); high = Max(ReduceMax(x), 0)`
Leaves alone: eight-bit numbers or zero points that something else reads; products that `quantized-product` leaves.
Numerics: the whole numbers and their sums are those of onnxruntime. The scale is never below the smallest normal
float32 number, as it would be where all values lie within 3e-36. Where the input holds NaN or infinities, the scale is
infinite and the results are not those of onnxruntime's kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect, replace_uses
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.passes.ops.zero_sign import shows_zero_sign
from surgery.passes.tensorrt.quantized.quantized_product import multiplied, parts_of
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG199"
STEPS = 255
NARROW = np.float32(STEPS) * np.finfo(np.float32).smallest_normal  # the least range whose scale is a normal number
PRODUCTS = ("MatMulInteger", "ConvInteger")
MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather", "Split", "Expand")
NEVER_NEGATIVE = ("Relu", "Softmax", "Sigmoid", "HardSigmoid", "Abs", "Exp")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    here = {id(node) for node in graph.nodes}
    for node in context.nodes(graph, "DynamicQuantizeLinear"):
        source, (narrow, _, zero) = node.inputs[0], node.outputs
        readers = list(narrow.outputs)
        others = any(not any(reader is each for each in readers) for reader in zero.outputs)
        if not readers or others or context.rank(source) is None or source.dtype != np.float32:
            continue
        if context.is_output(graph, narrow) or context.is_output(graph, zero):
            continue
        if all(id(reader) in here and _fits(graph, reader, node, context) for reader in readers):
            message = f"{context.target.name} has no DynamicQuantizeLinear"
            yield finding(message, node, partial(rewrite, graph, node, context), *readers)


def _fits(graph: gs.Graph, reader: gs.Node, node: gs.Node, context: Context) -> bool:
    """Whether the node reads the eight-bit numbers as a factor, or dequantizes them, with their own zero point."""
    narrow, scale, zero = node.outputs
    own = [tensor is narrow or tensor is zero for tensor in reader.inputs]
    if reader.domain or reader.inputs[0] is not narrow or sum(own) != 2 or optional_input(reader, 2) is not zero:
        return False
    if reader.op == "DequantizeLinear":
        return reader.inputs[1] is scale and not shows_zero_sign(graph, reader.outputs[0], context)
    return reader.op in PRODUCTS and bool(parts_of(reader, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Write the numbers out, and let every reader multiply them."""
    build = Build(graph, node, context, CODE)
    readers = list(node.outputs[0].outputs)
    whole, scale = numbers_and_scale(build, node.inputs[0], _scales_products_only(graph, node, context))
    made = []
    for reader in readers:
        after = Build(graph, reader, context, CODE)
        if reader.op == "DequantizeLinear":
            made.append((after, after("Mul", whole, scale)))
        else:
            made.append((after, multiplied(after, reader, whole, parts_of(reader, context))))
    build.replace(None, scale, None)
    for after, value in made:
        _put(graph, after, value, context)


def _put(graph: gs.Graph, build: Build, value: gs.Tensor, context: Context) -> None:
    """Let `value` take the place of the node's result; where only Casts to float32 read integers, that of the Casts."""
    node, result = build.node, build.node.outputs[0]
    casts = list(result.outputs)
    plain = all(
        each.op == "Cast" and each.outputs[0].dtype == np.float32 and not context.is_output(graph, each.outputs[0])
        for each in casts
    )
    if value.dtype != np.float32 or result.dtype == np.float32 or not plain or context.is_output(graph, result):
        build.replace(build.cast(value, result.dtype))
        return
    build.insert()
    for each in casts:
        replace_uses(each.outputs[0], value)
        disconnect(graph, each)
    disconnect(graph, node)


def numbers_and_scale(build: Build, source: gs.Tensor, any_scale_of_zeros: bool) -> tuple[gs.Tensor, gs.Tensor]:
    """`source` in steps of the scale as whole float32 numbers, the zero point taken off, and the scale.

    Args:
        any_scale_of_zeros: the scale need not be one where all values are zero.
    """
    zero, known = np.float32(0), build("Where", build("IsNaN", source), np.float32(np.inf), source)
    extent = high = build("Max", build("ReduceMax", known, keepdims=0), zero)
    low = None
    if not never_negative(source):
        low = build("Min", build("ReduceMin", known, keepdims=0), zero)
        extent = build("Sub", high, low)
    if any_scale_of_zeros:
        scale = build("Div", build("Max", extent, NARROW), np.float32(STEPS))
    else:
        step = build("Div", extent, np.float32(STEPS))
        scale = build("Where", build("Less", extent, NARROW), np.float32(1), step)
    whole = build("Round", build("Div", source, scale))
    if low is None:
        return whole, scale
    least = build("Round", build("Div", low, scale))
    return build("Min", whole, build("Add", least, np.float32(STEPS))), scale


def _scales_products_only(graph: gs.Graph, node: gs.Node, context: Context) -> bool:
    """Whether the scale, or the product of it and a constant, is read by products with the quantized numbers only."""
    narrow, scale, _ = node.outputs
    numbers = {id(reader.outputs[0]) for reader in narrow.outputs}
    waiting = [scale]
    while waiting:
        factor = waiting.pop()
        if context.is_output(graph, factor):
            return False
        for reader in factor.outputs:
            if id(reader.outputs[0]) in numbers:  # a DequantizeLinear
                continue
            if reader.op != "Mul" or reader.domain or reader.inputs[0] is reader.inputs[1]:
                return False
            other = reader.inputs[1] if reader.inputs[0] is factor else reader.inputs[0]
            cast = producer(other, "Cast")
            if context.constant(other) is not None:
                waiting.append(reader.outputs[0])
            elif cast is None or id(cast.inputs[0]) not in numbers:
                return False
    return True


def never_negative(tensor: gs.Tensor) -> bool:
    """Whether no element is below zero, because of the operator that makes it."""
    maker = producer(tensor, *NEVER_NEGATIVE, *MOVES)
    while maker is not None and maker.op in MOVES:
        maker = producer(maker.inputs[0], *NEVER_NEGATIVE, *MOVES)
    return maker is not None


PASS = Pass(
    code=CODE,
    name="dynamic-quantization",
    find=find,
    exact=False,
    kind="replace",
    feature="dynamic-quantize",
    moves_nan=True,
)
