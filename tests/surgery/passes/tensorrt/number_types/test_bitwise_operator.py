"""SG111: Bit operations on integers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG111"
REWRITES = [
    Case(
        "and of negative numbers",
        "g (int32[4] a, int32[4] b) => (int32[4] c) { c = BitwiseAnd(a, b) }",
        opset=18,
        gone=("BitwiseAnd",),
        inputs={"a": [-1, -2147483648, 2147483647, 5], "b": [7, -5, -1, 3]},
    ),
    Case(
        "or of 64 bits",
        "g (int64[3] a, int64[3] b) => (int64[3] c) { c = BitwiseOr(a, b) }",
        opset=18,
        gone=("BitwiseOr",),
        inputs={"a": [-9223372036854775808, 4611686018427387905, 5], "b": [7, -5, 1099511627776]},
    ),
    Case(
        "xor of bytes",
        "g (uint8[3] a, uint8[3] b) => (uint8[3] c) { c = BitwiseXor(a, b) }",
        opset=18,
        gone=("BitwiseXor",),
        inputs={"a": [255, 170, 1], "b": [15, 85, 1]},
    ),
    Case(
        "not",
        "g (int8[3] a) => (int8[3] c) { c = BitwiseNot(a) }",
        after="""g (int8[3] a) => (int8[3] c) <int32 t0 = {-1}> {
          t1 = Cast<to = 6>(a)
          t2 = Sub(t0, t1)
          c = Cast<to = 3>(t2)
        }""",
        opset=18,
        gone=("BitwiseNot",),
        inputs={"a": [-128, 0, 127]},
    ),
    Case(
        "not of bytes",
        "g (uint8[3] a) => (uint8[3] c) { c = BitwiseNot(a) }",
        after="""g (uint8[3] a) => (uint8[3] c) <int32 t0 = {255}> {
          t1 = Cast<to = 6>(a)
          t2 = Sub(t0, t1)
          c = Cast<to = 2>(t2)
        }""",
        opset=18,
        inputs={"a": [0, 255, 7]},
    ),
    Case(
        "one operand for all",
        "g (int32[2,3] a, int32[1] b) => (int32[2,3] c) { c = BitwiseOr(a, b) }",
        opset=18,
        inputs={"a": [[-1, 0, 5], [7, -8, 1073741824]], "b": [12]},
    ),
    Case(
        "xor of signs",
        "g (int8[4] a, int8[4] b) => (int8[4] c) { c = BitwiseXor(a, b) }",
        opset=18,
        inputs={"a": [-128, 127, -1, 0], "b": [-1, -128, -1, 0]},
    ),
    Case(
        "or of int64 with signs",
        "g (int64[3] a, int64[3] b) => (int64[3] c) { c = BitwiseAnd(a, b) }",
        opset=18,
        inputs={
            "a": [-9223372036854775808, -1, 4611686018427387904],
            "b": [-1, 4611686018427387909, 4611686018427387904],
        },
    ),
]
LEFT_ALONE = [
    Case(
        "TensorRT cannot hold uint32",
        "g (uint32[2] a, uint32[2] b) => (uint32[2] c) { c = BitwiseAnd(a, b) }",
        opset=18,
    ),
    Case("the rank is unknown", "g (int32[] a, int32[] b) => (int32[] c) { c = BitwiseAnd(a, b) }", opset=18),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
