"""SG192: Einsum of integers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays
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
    Case(
        "a free batch",
        'g (int32[N,2,3] a, int32[N,3,4] b) => (int32[N,2,4] y) { y = Einsum<equation = "BIJ,BJK->BIK">(a, b) }',
    ),
    Case(
        "an ellipsis",
        'g (int64[N,2,2,3] a, int64[1,2,3,4] b) => (int64[N,2,2,4] y) { y = Einsum<equation = "...ij,...jk">(a, b) }',
    ),
    Case(
        "a factor is stretched",
        'g (int32[1,3] a, int32[2,3] b) => (int32[2] y) { y = Einsum<equation = "ij,ij->i">(a, b) }',
    ),
]
LEFT_ALONE = [
    Case(
        "floating point",
        'g (float[2,3] a, float[3,4] b) => (float[2,4] y) { y = Einsum<equation = "ij,jk->ik">(a, b) }',
    ),
    Case("a diagonal", 'g (int32[3,3] a) => (int32[3] y) { y = Einsum<equation = "ii->i">(a) }'),
    Case(
        "ellipses of different length",
        'g (int32[2,2,3] a, int32[3,4] b) => (y) { y = Einsum<equation = "...ij,...jk->...ik">(a, b) }',
    ),
    Case(
        "more than 4M products, where a free size counts as 256",
        'g (int32[N,300,10] a, int32[10,60] b) => (int32[N,300,60] y) { y = Einsum<equation = "bij,jk->bik">(a, b) }',
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_products_and_sums_wrap_around(kind: str) -> None:
    text = f'g ({kind}[2,3] a, {kind}[3] b) => ({kind}[2] y) {{ y = Einsum<equation = "ij,j->i">(a, b) }}'
    top = np.iinfo(kind).max
    same(text, 13, CODE, [{"a": [[top, top - 1, 1], [top, -top, 5]], "b": [1, 3, top // 2]}], exact=True)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
