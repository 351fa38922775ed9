"""Pieces with onnxruntime's own operators, and with operators of which TensorRT takes a bounded form only."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from tests.surgery.fuzz.generator import Draft, Refused

MICROSOFT = "com.microsoft"
SIDES = (16, 32, 64)


def packed_product(draft: Draft) -> Any:
    """Packed weights, with inputs that onnxruntime rounds to eight bits or not."""
    source = draft.pick(lambda value: value.ndim > 1)
    length, columns, size = draft.values[source].shape[-1], draft.chance.randint(1, 3), draft.chance.choice(SIDES)
    bits, blocks = draft.chance.choice([4, 8]), -(-length // size)
    codes = draft.numbers.integers(0, 256, (columns, blocks, size * bits // 8))
    weights = [
        draft.constant(codes, np.uint8),
        draft.constant(draft.numbers.random(columns * blocks) + 0.1, np.float32),
    ]
    if draft.chance.random() < 0.5:
        zeros = draft.numbers.integers(0, 256, columns * -(-blocks * bits // 8))
        weights.append(draft.constant(zeros, np.uint8))
    level = draft.chance.choice([0, 4])
    attributes = {"K": length, "N": columns, "bits": bits, "block_size": size, "accuracy_level": level}
    return draft.add("MatMulNBits", source, *weights, domain=MICROSOFT, **attributes)


def eight_bit_arithmetic(draft: Draft) -> Any:
    """A sum or product of eight-bit numbers, or their mean over windows or all places."""
    kind = draft.chance.choice([np.uint8, np.int8])
    source = draft.add("Tanh", draft.pick(lambda value: value.ndim > 0))  # so that NaN is all that is not finite
    first, second, last = (_parameters(draft, kind) for _ in range(3))
    values = draft.add("QuantizeLinear", source, *first)
    op = draft.chance.choice(["QLinearAdd", "QLinearMul", "QLinearGlobalAveragePool"])
    if op == "QLinearGlobalAveragePool":
        if draft.values[source].ndim < 3:
            raise Refused("it has no spatial dims")
        made = draft.add(op, values, *first, *last, domain=MICROSOFT)
    else:
        other = draft.add("QuantizeLinear", source, *second)
        made = draft.add(op, values, *first, other, *second, *last, domain=MICROSOFT)
    return draft.add("DequantizeLinear", made, *last)


def _parameters(draft: Draft, kind: Any) -> tuple[str, str]:
    scale = draft.chance.choice([0.01, 0.02, 0.04, draft.chance.uniform(0.005, 0.05)])
    return draft.constant(scale, np.float32), draft.constant(draft.chance.choice([0, 3, 100]), kind)


def number_of_values(draft: Draft) -> Any:
    source = draft.add("Cast", draft.add("Tanh", draft.pick()), to=TensorProto.INT32)
    distinct = draft.add("Unique", draft.add("Cast", source, to=TensorProto.INT64))
    count = draft.add(draft.chance.choice(["Shape", "Size"]), distinct)
    return draft.add("Cast", count, to=TensorProto.FLOAT)


def many_largest(draft: Draft) -> Any:
    """More elements than TensorRT takes at once, many of them equal."""
    size, count = 4096, draft.chance.randint(3841, 4096)
    ties = draft.constant(draft.numbers.integers(0, 40, size), np.float32)
    shifted = draft.add("Add", ties, draft.add("ReduceMax", draft.pick(), keepdims=0))
    values, places = draft.add("TopK", shifted, draft.constant([count]), outputs=2, largest=draft.chance.choice([0, 1]))
    return draft.add("Add", values, draft.add("Cast", places, to=TensorProto.FLOAT))


def einsum(draft: Draft) -> Any:
    """Upper-case letters, or integers of known sizes."""
    if draft.chance.random() < 0.5:
        source = draft.pick(lambda value: value.ndim > 0)
        weights = draft.constant(draft.numbers.standard_normal((draft.values[source].shape[-1], 2)), np.float32)
        equation = draft.chance.choice(["...J,JK->...K", "...C,Cd->d...", "...B,BA"])
        return draft.add("Einsum", source, weights, equation=equation)
    kind = draft.chance.choice([np.int32, np.int64])
    first = draft.input([2, 3], draft.numbers.integers(-9, 9, (2, 3)).astype(kind))
    second = draft.constant(draft.numbers.integers(-9, 9, (3, 4)), kind)
    made = draft.add("Einsum", first, second, equation=draft.chance.choice(["ij,jk->ik", "ij,jk->", "Ij,jk->kIj"]))
    return draft.add("Cast", made, to=TensorProto.FLOAT)


def scattered(draft: Draft) -> Any:
    """Updates that are reduced onto the data; how many there are is free."""
    if draft.opset < 18:
        raise Refused("max and min are newer")
    axis = draft.chance.randrange(2)
    kind = draft.chance.choice([np.float32, np.int64])
    reduction = draft.chance.choice(["add", "max", "min"] + ["mul"] * (kind == np.float32))
    data = draft.constant(draft.numbers.integers(-9, 9, (3, 4)), kind)
    if draft.chance.random() < 0.5:
        index = draft.input(["M", 1], draft.numbers.integers(-3, 3, (3, 1)))
        updates = draft.input(["M", 4], draft.numbers.integers(-9, 9, (3, 4)).astype(kind))
        made = draft.add("ScatterND", data, index, updates, reduction=reduction)
    else:
        dims: list[Any] = ["M" if place == axis else 2 for place in range(2)]
        sizes = [3 if dim == "M" else dim for dim in dims]
        index = draft.input(dims, draft.numbers.integers(-3, 3, sizes))
        updates = draft.input(dims, draft.numbers.integers(-9, 9, sizes).astype(kind))
        made = draft.add("ScatterElements", data, index, updates, axis=axis, reduction=reduction)
    return draft.add("Cast", made, to=TensorProto.FLOAT)


PIECES = {
    packed_product: {"SG177"},
    eight_bit_arithmetic: {"SG176"},
    number_of_values: {"SG149"},
    many_largest: {"SG148"},
    scattered: {"SG140"},
    einsum: {"SG191", "SG192"},
}  # the passes that rewrite them
