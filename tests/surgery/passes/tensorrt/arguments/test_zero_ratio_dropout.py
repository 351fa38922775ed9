"""SG119: Dropout with a ratio of zero that may be in training mode."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG119"
REWRITES = [
    Case(
        "ratio of zero",
        """g (float[2,3] x) => (float[2,3] y) <float r = {0}, bool t = {1}> {
          a = Dropout(x, r, t)
          y = Relu(a)
        }""",
        after="g (float[2,3] x) => (float[2,3] y) { a = Identity(x)  y = Relu(a) }",
        gone=("Dropout",),
    ),
    Case(
        "the mask is read",
        """g (float[2,3] x) => (float[2,3] y, bool[2,3] m) <float r = {0}, bool t = {1}> {
          y, m = Dropout(x, r, t)
        }""",
        after="""g (float[2,3] x) => (float[2,3] y, bool[2,3] m) <bool t0 = {1}, int64[2] t1 = {2, 3}> {
          y = Identity(x)
          m = Expand(t0, t1)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "what it drops is random",
        "g (float[2,3] x) => (float[2,3] y) <float r = {0.5}, bool t = {1}> { y = Dropout(x, r, t) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
