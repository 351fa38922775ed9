"""SG124: DFT of a static length."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG124"
REWRITES = [
    Case("forward", "g (float[1,5,1] x) => (float[1,5,2] y) { y = DFT(x) }", opset=20, gone=("DFT",)),
    Case(
        "one-sided, padded",
        """g (float[1,5,2,1] x) => (float[1,5,2,2] y) <int64 n = {8}> {
          y = DFT<axis = 1, onesided = 1>(x, n)
        }""",
        gone=("DFT",),
    ),
    Case("inverse", "g (float[1,5,2] x) => (float[1,5,2] y) { y = DFT<axis = 1, inverse = 1>(x) }", gone=("DFT",)),
]
LEFT_ALONE = [
    Case("the length is not known", "g (float[1,n,1] x) => (float[1,n,2] y) { y = DFT(x) }", opset=20),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
