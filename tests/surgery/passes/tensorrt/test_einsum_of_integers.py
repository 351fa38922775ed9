"""SG192: Einsum of integers."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG192"
REWRITES = [
    Case(
        "a product of matrices",
        'g (int32[2,3] a, int32[3,4] b) => (int32[2,4] y) { y = Einsum<equation = "ij,jk->ik">(a, b) }',
    ),
    Case(
        "turned, of three factors",
        """g (int64[2,3] a, int64[3,4] b, int64[2] c) => (int64[4,2] y) { y = Einsum<equation =
          "ij,jk,i->ki">(a, b, c) }""",
    ),
    Case(
        "nothing is summed", 'g (int32[2] a, int32[3] b) => (int32[3,2] y) { y = Einsum<equation = "i,j->ji">(a, b) }'
    ),
    Case("all is summed", 'g (int32[2,3] a) => (int32 y) { y = Einsum<equation = "IJ->">(a) }'),
]
LEFT_ALONE = [
    Case(
        "floating point",
        'g (float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation = "ij,jk->ik">(a, b) }',
    ),
    Case("a diagonal", 'g (int32[3,3] a) => (int32[3] y) { y = Einsum<equation = "ii->i">(a) }'),
    Case(
        "a free size", 'g (int32[N,3] a, int32[3,4] b) => (int32[N,4] y) { y = Einsum<equation = "ij,jk->ik">(a, b) }'
    ),
    Case(
        "an ellipsis",
        'g (int32[2,3] a, int32[3,4] b) => (int32[2,4] y) { y = Einsum<equation = "...j,jk->...k">(a, b) }',
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
