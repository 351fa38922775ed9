"""Pieces of random models for the passes that merge neighbours: products with their scales, dims of size one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.surgery.fuzz.generator import Draft


def scaled_product(draft: Draft) -> Any:
    """A convolution, deconvolution or Gemm, and scales and offsets of its channels behind it."""
    source = draft.pick(lambda value: value.ndim in (2, 4) and value.shape[1] < 8)
    channels = draft.values[source].shape[1]
    weights = [draft.chance.choice([2, channels]), channels] + [1] * (draft.values[source].ndim - 2)
    op = draft.chance.choice(["Conv", "ConvTranspose"]) if len(weights) == 4 else "Gemm"
    if op != "Conv":
        weights[:2] = weights[1::-1]
    made = draft.constant(draft.numbers.standard_normal(weights), np.float32)
    outer = weights[0] if op == "Conv" else weights[1]
    bias = [draft.constant(draft.numbers.standard_normal(outer), np.float32)]
    value = draft.add(op, source, made, *(bias if op == "Gemm" or draft.chance.random() < 0.5 else []))
    for _ in range(draft.chance.randint(1, 3)):
        rank = draft.chance.choice([1, len(weights)])
        row = [1] * rank if rank == 1 else [1, outer] + [1] * (rank - 2)
        operand = draft.constant(draft.numbers.standard_normal(row), np.float32)
        how = draft.chance.choice(["Mul", "Add", "Sub", "Div", "BatchNormalization"])
        if how == "BatchNormalization":
            numbers = [draft.numbers.standard_normal(outer) for _ in range(3)] + [draft.numbers.random(outer)]
            value = draft.add(how, value, *(draft.constant(number, np.float32) for number in numbers))
        else:
            value = draft.add(how, *draft.chance.sample([value, operand], 2))
    return value


def neutral_operand(draft: Draft) -> Any:
    """Zeros that are added and ones that multiply, of the same shape as the other operand or a larger one."""
    source = draft.pick(lambda value: value.ndim > 0)
    op = draft.chance.choice(["Add", "Sub", "Mul", "Div"])
    shape = draft.chance.choice([[], [1], [draft.values[source].shape[-1]], [1] * (draft.values[source].ndim + 1)])
    neutral = draft.constant(np.full(shape, draft.chance.choice([0.0, -0.0, 1.0])), np.float32)
    return draft.add(op, *draft.chance.choice([[source, neutral], [neutral, source]]))


def dims_of_one(draft: Draft) -> Any:
    """Unsqueeze, Squeeze and Transpose in a row, and a Reshape or Flatten behind them."""
    value = draft.pick(lambda value: value.ndim < 4)
    for _ in range(draft.chance.randint(2, 4)):
        shape = draft.values[value].shape
        ones = [axis for axis, dim in enumerate(shape) if dim == 1]
        how = draft.chance.choice(["Unsqueeze", "Unsqueeze", "Squeeze", "Transpose"])
        if how == "Transpose":
            value = draft.add(how, value, perm=draft.chance.sample(range(len(shape)), len(shape)))
        elif how == "Unsqueeze":
            value = draft.axes(how, value, [draft.chance.randint(0, len(shape))])
        elif ones:
            value = draft.axes(how, value, [draft.chance.choice(ones)])
    if draft.chance.random() < 0.5:
        return draft.add("Flatten", value, axis=draft.chance.randint(0, draft.values[value].ndim))
    return draft.add("Reshape", value, draft.constant([draft.chance.choice([0, -1]), *draft.values[value].shape[1:]]))


def linear(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 1)
    weights = draft.constant(draft.numbers.standard_normal((draft.values[source].shape[-1], 3)), np.float32)
    bias = draft.constant(draft.numbers.choice([0, 1], draft.chance.choice([[3], [1], [1, 3], []])), np.float32)
    return draft.add("Add", *draft.chance.sample([draft.add("MatMul", source, weights), bias], 2))


def requantized(draft: Draft) -> Any:
    """A tensor that is quantized, moved and quantized again, as onnxruntime's quantizer writes it."""
    kind, source = draft.chance.choice([np.uint8, np.int8]), draft.pick(lambda value: value.ndim > 1)
    scale = draft.constant(draft.chance.choice([0.05, 0.5]), np.float32)
    zero = draft.constant(draft.chance.choice([0, 3, 100]), kind)
    value = draft.add("DequantizeLinear", draft.add("QuantizeLinear", source, scale, zero), scale, zero)
    rank = draft.values[value].ndim
    how = draft.chance.choice(["Transpose", "Unsqueeze", "Flatten", "Abs"])
    if how == "Unsqueeze":
        value = draft.axes(how, value, [draft.chance.randint(0, rank)])
    else:
        value = draft.add(
            how, value, **({"perm": draft.chance.sample(range(rank), rank)} if how == "Transpose" else {})
        )
    if draft.chance.random() < 0.2:
        scale = draft.constant(0.25, np.float32)
    return draft.add("DequantizeLinear", draft.add("QuantizeLinear", value, scale, zero), scale, zero)


def nested_slices(draft: Draft) -> Any:
    """Two Slices of the result of another, of the same axis or of others."""
    value = draft.pick(lambda value: value.ndim > 1)
    rank = draft.values[value].ndim

    def cut(tensor: str) -> Any:
        bounds = draft.chance.choice([[0, 1], [1, 9], [-2, 9], [0, -1]])
        return draft.add(
            "Slice", tensor, *(draft.constant([number]) for number in (*bounds, draft.chance.randrange(rank)))
        )

    first = cut(value)
    return draft.add("Concat", *(draft.add("Flatten", cut(first), axis=0) for _ in range(2)), axis=1)
