"""SG128: MatMul of a vector with a batch of matrices."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG128"
REWRITES = [
    Case(
        "vector on the left",
        "g (float[3] a, float[2,3,4] b) => (float[2,4] c) { c = MatMul(a, b) }",
        after="""g (float[3] a, float[2,3,4] b) => (float[2,4] c) <int64[1] t0 = {0}, int64[1] t1 = {1}> {
          t2 = Unsqueeze(a, t0)
          t3 = MatMul(t2, b)
          c = Squeeze(t3, t1)
        }""",
    ),
    Case(
        "vector on the right",
        "g (float[2,4,3] a, float[3] b) => (float[2,4] c) { c = MatMul(a, b) }",
        after="""g (float[2,4,3] a, float[3] b) => (float[2,4] c) <int64[1] t0 = {1}, int64[1] t1 = {2}> {
          t2 = Unsqueeze(b, t0)
          t3 = MatMul(a, t2)
          c = Squeeze(t3, t1)
        }""",
    ),
]
LEFT_ALONE = [
    Case("a vector and a matrix", "g (float[3] a, float[3,4] b) => (float[4] c) { c = MatMul(a, b) }"),
    Case("a rank is unknown", "g (float[] a, float[2,3,4] b) => (float[] c) { c = MatMul(a, b) }"),
    Case("two vectors", "g (float[3] a, float[3] b) => (float c) { c = MatMul(a, b) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
