"""SG114: CumProd."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG114"
REWRITES = [
    Case(
        "exclusive and reversed",
        """g (float[2,3] x) => (float[2,3] y) <int64 a = {1}> {
          y = CumProd<exclusive = 1, reverse = 1>(x, a)
        }""",
        after="""g (float[2,3] x) => (float[2,3] y)
        <int64[1] t0 = {2}, int64[1] t1 = {3}, int64[1] t2 = {1}, int64[1] t3 = {1}, int64[1] t4 = {2}, int64[1] t5
        = {1}, float[2,1] t6 = {1, 1}> {
          t7 = Slice(x, t0, t1, t2)
          t8 = Slice(x, t3, t4, t5)
          t9 = Mul(t7, t8)
          y = Concat<axis = 1>(t9, t7, t6)
        }""",
        opset=26,
        gone=("CumProd",),
    ),
    Case(
        "runtime axis",
        "g (float[2,3] x, int64 a) => (float[2,3] y) { y = CumProd(x, a) }",
        opset=26,
        gone=("CumProd",),
        inputs={"a": -2},
    ),
    Case(
        "along a negative axis of one",
        "g (float[2,1] x) => (float[2,1] y) <int64 a = {-1}> { y = CumProd(x, a) }",
        after="""g (float[2,1] x) => (float[2,1] y) <int64[1] t0 = {0}, int64[1] t1 = {1}, int64[1] t2 = {1}> {
          t3 = Slice(x, t0, t1, t2)
          y = Concat<axis = 1>(t3)
        }""",
        opset=26,
    ),
]
LEFT_ALONE = [
    Case("the length is not known", "g (float[n] x) => (float[n] y) <int64 a = {0}> { y = CumProd(x, a) }", opset=26),
    Case(
        "an axis longer than 256", "g (float[257] x) => (float[257] y) <int64 a = {0}> { y = CumProd(x, a) }", opset=26
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
