"""SG109: Slice with bounds for the first axes only and without axes."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG109"
REWRITES = [
    Case(
        "two of three axes",
        "g (float[2,3,4] x, int64[2] a, int64[2] b) => (float[p,q,4] y) { y = Slice(x, a, b) }",
        after="""g (float[2,3,4] x, int64[2] a, int64[2] b) => (float[p,q,4] y) <int64[2] t0 = {0, 1}> {
          y = Slice(x, a, b, t0)
        }""",
        inputs={"a": [1, 0], "b": [2, 2]},
    ),
    Case(
        "negative bounds of the first axis",
        """g (float[4,3] x) => (float[k,3] y) <int64[1] a = {-2}, int64[1] b = {-1}> {
          y = Slice(x, a, b)
        }""",
        after="""g (float[4,3] x) => (float[k,3] y) <int64[1] a = {-2}, int64[1] b = {-1}, int64[1] t0 = {0}> {
          y = Slice(x, a, b, t0)
        }""",
    ),
]
LEFT_ALONE = [
    Case("as many bounds as dims", "g (float[2,3] x, int64[2] a, int64[2] b) => (float[p,q] y) { y = Slice(x, a, b) }"),
    Case(
        "the axes are given",
        """g (float[4,3] x, int64[1] a, int64[1] b) => (float[4,k] y) <int64[1] r = {1}> {
          y = Slice(x, a, b, r)
        }""",
    ),
    Case(
        "the number of bounds is unknown",
        "g (float[4,3] x, int64[n] a, int64[n] b) => (float[k,l] y) { y = Slice(x, a, b) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
