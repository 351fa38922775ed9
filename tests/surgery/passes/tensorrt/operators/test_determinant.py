"""SG129: Det of small matrices."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG129"
REWRITES = [
    Case("three by three in a batch", "g (float[2,3,3] x) => (float[2] y) { y = Det(x) }", opset=11, gone=("Det",)),
    Case(
        "one by one",
        "g (float[2,1,1] x) => (float[2] y) { y = Det(x) }",
        after="""g (float[2,1,1] x) => (float[2] y)
        <int64[2] t0 = {0, 0}, int64[2] t1 = {1, 1}, int64[2] t2 = {1, 2}, int64[2] t3 = {1, 2}> {
          t4 = Slice(x, t0, t1, t2)
          y = Squeeze(t4, t3)
        }""",
        opset=11,
    ),
    Case("four by four", "g (float[4,4] x) => (float y) { y = Det(x) }", opset=11),
]
LEFT_ALONE = [
    Case("too large to expand", "g (float[5,5] x) => (float y) { y = Det(x) }", opset=11),
    Case("the size of the matrix is unknown", "g (float[n,n] x) => (float y) { y = Det(x) }", opset=11),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
