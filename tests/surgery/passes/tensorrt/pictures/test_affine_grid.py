"""SG123: AffineGrid of constant size."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG123"
REWRITES = [
    Case(
        "batch of one",
        """g (float[1,2,3] t) => (float[1,4,5,2] y) <int64[4] s = {1, 1, 4, 5}> {
          y = AffineGrid(t, s)
        }""",
        opset=20,
        gone=("AffineGrid",),
    ),
    Case(
        "three dimensions, corners aligned",
        """g (float[2,3,4] t) => (float[2,2,3,4,3] y) <int64[5] s = {2, 1, 2, 3, 4}> {
          y = AffineGrid<align_corners = 1>(t, s)
        }""",
        opset=20,
        gone=("AffineGrid",),
    ),
    Case(
        "one point along an axis, corners aligned",
        """g (float[1,2,3] t) => (float[1,1,3,2] y) <int64[4] s = {1, 1, 1, 3}> {
          y = AffineGrid<align_corners = 1>(t, s)
        }""",
        opset=20,
        gone=("AffineGrid",),
    ),
]
LEFT_ALONE = [
    Case(
        "the size is not known",
        "g (float[1,2,3] t, int64[4] s) => (float[a,b,c,d] y) { y = AffineGrid(t, s) }",
        opset=20,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
