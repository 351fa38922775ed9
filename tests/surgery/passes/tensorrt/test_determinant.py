"""SG129: Det of small matrices."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG129"
REWRITES = [
    Case("three by three in a batch", "g (float[2,3,3] x) => (float[2] y) { y = Det(x) }", opset=11, gone=("Det",)),
]
LEFT_ALONE = [
    Case("too large to expand", "g (float[5,5] x) => (float y) { y = Det(x) }", opset=11),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
