"""SG112: Shifts of integers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG112"
REWRITES = [
    Case(
        "left, past the sign",
        'g (int32[4] a, int32[4] b) => (int32[4] c) { c = BitShift<direction = "LEFT">(a, b) }',
        opset=28,
        gone=("BitShift",),
        inputs={"a": [1, -3, 2147483647, 5], "b": [31, 4, 1, 40]},
    ),
    Case(
        "right, negative and too far",
        'g (int32[5] a, int32[5] b) => (int32[5] c) { c = BitShift<direction = "RIGHT">(a, b) }',
        opset=28,
        gone=("BitShift",),
        inputs={"a": [-2147483648, -1, 9, -9, 9], "b": [31, 3, 1, 99, -1]},
    ),
    Case(
        "bytes to the left",
        'g (uint8[4] a, uint8[4] b) => (uint8[4] c) { c = BitShift<direction = "LEFT">(a, b) }',
        opset=28,
        inputs={"a": [1, 255, 3, 7], "b": [7, 1, 8, 0]},
    ),
    Case(
        "int64 to the right",
        'g (int64[3] a, int64[3] b) => (int64[3] c) { c = BitShift<direction = "RIGHT">(a, b) }',
        opset=28,
        inputs={"a": [-8, 4611686018427387904, 5], "b": [1, 61, 0]},
    ),
]
LEFT_ALONE = [
    Case(
        "TensorRT cannot hold uint32",
        'g (uint32[2] a, uint32[2] b) => (uint32[2] c) { c = BitShift<direction = "LEFT">(a, b) }',
        opset=11,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
