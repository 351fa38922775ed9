"""SG103: Operators that compute on eight-bit integers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG103"
REWRITES = [
    Case(
        "add wraps around",
        "g (uint8[2] a, uint8[2] b) => (uint8[2] c) { c = Add(a, b) }",
        after="""g (uint8[2] a, uint8[2] b) => (uint8[2] c)
        <int32 a1 = {256}, int32 a2 = {256}, int32 zero = {0}, int32 a3 = {256}> {
          t1 = Cast<to = 6>(a)
          t2 = Cast<to = 6>(b)
          t3 = Add(t1, t2)
          t4 = Div(t3, a1)
          t5 = Mul(t4, a2)
          rest = Sub(t3, t5)
          negative = Less(rest, zero)
          above = Add(rest, a3)
          wrapped = Where(negative, above, rest)
          c = Cast<to = 2>(wrapped)
        }""",
        opset=14,
        inputs={"a": [250, 3], "b": [9, 4]},
    ),
    Case(
        "signed modulo",
        "g (int8[4] a, int8[4] b) => (int8[4] c) { c = Mod(a, b) }",
        after="""g (int8[4] a, int8[4] b) => (int8[4] c) {
          t0 = Cast<to = 6>(a)
          t1 = Cast<to = 6>(b)
          t2 = Mod(t0, t1)
          c = Cast<to = 3>(t2)
        }""",
        opset=13,
        inputs={"a": [-7, 7, -7, 7], "b": [3, -3, -3, 3]},
    ),
    Case(
        "pooling in float",
        "g (uint8[1,1,3,3] x) => (uint8[1,1,2,2] y) { y = MaxPool<kernel_shape = [2, 2]>(x) }",
        after="""g (uint8[1,1,3,3] x) => (uint8[1,1,2,2] y) {
          t0 = Cast<to = 1>(x)
          t1 = MaxPool<kernel_shape = [2, 2]>(t0)
          t2 = Cast<to = 6>(t1)
          y = Cast<to = 2>(t2)
        }""",
        opset=12,
    ),
]
LEFT_ALONE = [
    Case("the target adds in int8", "g (int8[2] a, int8[2] b) => (int8[2] c) { c = Add(a, b) }", opset=14),
    Case(
        "its output is declared to be of another type", "g (uint8[2] a, uint8[2] b) => (float[2] c) { c = Add(a, b) }"
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
