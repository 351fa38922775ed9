"""Quantization in plain arithmetic: shift by the zero point, scale along an axis, round and clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context

RANGES = {"int8": (-128, 127), "uint8": (0, 255)}
MIDDLE = {"int8": 0, "uint8": 128}


def broadcastable(build: Build, parameter: gs.Tensor, rank: int, axis: int) -> gs.Tensor:
    """A scale or zero point of one value, or of one per element of `axis`, shaped to go with a tensor of `rank`."""
    dims = parameter.shape
    if dims is None or len(dims) != 1 or dims[0] == 1 or rank == 0:
        return build.reshape(parameter, []) if dims is not None and list(dims) == [1] else parameter
    shape = [1] * rank
    shape[axis % rank] = -1
    return build.reshape(parameter, shape)


def without_zero_point(
    build: Build, value: gs.Tensor, zero_point: gs.Tensor | None, rank: int, axis: int, work: Any
) -> gs.Tensor:
    """`value - zero_point` in floating point `work`."""
    stored = isinstance(value, gs.Constant) or value.dtype == work
    wide = build.cast(value if stored else build.cast(value, np.int32), work)
    if zero_point is None or zero_point.is_empty():
        return wide
    return build("Sub", wide, build.cast(build.cast(broadcastable(build, zero_point, rank, axis), np.int32), work))


def quantized(
    build: Build, value: gs.Tensor, zero_point: gs.Tensor | None, rank: int, axis: int, kind: Any
) -> gs.Tensor:
    """`value` (already divided by its scale) rounded half to even, shifted, clipped to `kind` and cast to it.

    NaN becomes the lowest number, as in onnxruntime: no comparison with it is true, so that Where takes the bound.
    """
    low, high = RANGES[np.dtype(kind).name]
    whole = build("Round", value)
    if zero_point is not None and not zero_point.is_empty():
        whole = build(
            "Add", whole, build.cast(build.cast(broadcastable(build, zero_point, rank, axis), np.int32), whole.dtype)
        )
    above = build("Where", build("Greater", whole, float(low)), whole, float(low))
    return build.cast(build.cast(build("Min", above, float(high)), np.int32), kind)


def dequantized(
    build: Build, value: gs.Tensor, scale: gs.Tensor, zero_point: gs.Tensor | None, axis: int | None = None
) -> gs.Tensor:
    """`(value - zero_point) * scale` as one DequantizeLinear; `axis` counts where the scale is a vector."""
    return _linear(build, "DequantizeLinear", value, scale, zero_point, axis)


def requantized(
    build: Build, value: gs.Tensor, scale: gs.Tensor, zero_point: gs.Tensor | None, axis: int | None = None
) -> gs.Tensor:
    """`value / scale` rounded, shifted and clipped as one QuantizeLinear; without a zero point uint8."""
    return _linear(build, "QuantizeLinear", value, scale, zero_point, axis)


def _linear(
    build: Build, op: str, value: gs.Tensor, scale: gs.Tensor, zero_point: gs.Tensor | None, axis: int | None
) -> gs.Tensor:
    parameters = [tensor if tensor is None else _scalar(build, tensor) for tensor in (scale, zero_point)]
    vector = scale.shape is not None and len(scale.shape) == 1 and scale.shape[0] != 1
    return build(op, value, *parameters, axis=axis) if vector and axis is not None else build(op, value, *parameters)


def _scalar(build: Build, parameter: gs.Tensor) -> gs.Tensor:
    """A vector of one number as a scalar, so that it counts for the whole tensor."""
    if parameter.shape is None or list(parameter.shape) != [1]:
        return parameter
    value = build.context.constant(parameter)
    return build.reshape(parameter, []) if value is None else build.constant(value.reshape(()), value.dtype)


def optional_input(node: gs.Node, index: int) -> Any:
    """The input at this place, or None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) and not node.inputs[index].is_empty() else None


def single_number(tensor: gs.Tensor | None, context: Context) -> Any:
    """The value of a constant of one element; None for anything else."""
    value = None if tensor is None else context.constant(tensor)
    return value.reshape(()).item() if value is not None and value.size == 1 else None


def shift_from_middle(node: gs.Node, context: Context) -> int | None:
    """The zero point of a QuantizeLinear or DequantizeLinear with one constant scale, counted from the middle of its
    type; None for other ones.
    """
    zero, scale = optional_input(node, 2), node.inputs[1]
    if zero is None or zero.dtype is None or np.dtype(zero.dtype).name not in MIDDLE or node.attrs.get("block_size"):
        return None
    value = single_number(zero, context)
    if value is None or single_number(scale, context) is None or scale.dtype != np.float32:
        return None
    return int(value) - MIDDLE[np.dtype(zero.dtype).name]


def shifted_readers(graph: gs.Graph, node: gs.Node, context: Context) -> list[gs.Node]:
    """The readers of a QuantizeLinear whose zero point is not in the middle of its type, if they all dequantize with
    that zero point; else an empty list.
    """
    narrow, shift = node.outputs[0], shift_from_middle(node, context)
    if not shift or context.is_output(graph, narrow) or context.rank(node.inputs[0]) is None:
        return []
    readers = list(narrow.outputs)
    fits = all(reader.op == "DequantizeLinear" and shift_from_middle(reader, context) == shift for reader in readers)
    return readers if fits else []


def within_range(build: Build, whole: gs.Tensor, shift: int) -> gs.Tensor:
    """Whole numbers limited to the 256 that eight bits hold; NaN becomes the lowest one.

    Args:
        shift: of the zero point from the middle of its type.
    """
    low, high = -128.0 - shift, 127.0 - shift
    return build("Min", build("Where", build("Greater", whole, low), whole, low), high)


def stored_value(tensor: gs.Tensor, context: Context) -> Any:
    """The value of a constant, or of eight-bit numbers that are stored and dequantized; None for anything else."""
    maker = producer(tensor, "DequantizeLinear")
    if maker is None or tensor.dtype != np.float32 or maker.attrs.get("block_size"):
        return context.constant(tensor)
    zero = optional_input(maker, 2)
    numbers, scale = (context.constant(each) for each in maker.inputs[:2])
    shift = np.zeros((), np.int32) if zero is None else context.constant(zero)
    if numbers is None or scale is None or shift is None or numbers.dtype.name not in RANGES:
        return None
    axis = int(maker.attrs.get("axis", 1))
    whole = numbers.astype(np.int32) - _along(shift.astype(np.int32), numbers.ndim, axis)
    return whole.astype(np.float32) * _along(scale.astype(np.float32), numbers.ndim, axis)


def _along(parameter: Any, rank: int, axis: int) -> Any:
    """A scale or zero point of one number, or of one for each element of `axis`, in a shape that broadcasts."""
    if parameter.size == 1:
        return parameter.reshape(())
    shape = [1] * rank
    shape[axis % rank] = -1
    return parameter.reshape(shape)
