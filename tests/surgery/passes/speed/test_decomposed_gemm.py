"""SG211: a product of matrices and a constant row."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG211"
W = "<float[2,3] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, -2, 3}, float k = {4}>"
REWRITES = [
    Case(
        "a bias behind a product",
        f"g (float[n,2] x) => (float[n,3] y) {W} {{ a = MatMul(x, w)  y = Add(a, b) }}",
        after=f"g (float[n,2] x) => (float[n,3] y) {W} {{ y = Gemm(x, w, b) }}",
    ),
    Case(
        "a number in front",
        f"g (float[4,2] x) => (float[4,3] y) {W} {{ a = MatMul(x, w)  y = Add(k, a) }}",
        after=f"g (float[4,2] x) => (float[4,3] y) {W} {{ y = Gemm(x, w, k) }}",
    ),
]
LEFT_ALONE = [
    Case("three dims", f"g (float[1,n,2] x) => (float[1,n,3] y) {W} {{ a = MatMul(x, w)  y = Add(a, b) }}"),
    Case(
        "computed weights",
        f"g (float[n,2] x, float[2,3] v) => (float[n,3] y) {W} {{ a = MatMul(x, v)  y = Add(a, b) }}",
    ),
    Case(
        "the product is an output",
        f"g (float[n,2] x) => (float[n,3] y, float[n,3] a) {W} {{ a = MatMul(x, w)  y = Add(a, b) }}",
    ),
    Case(
        "a bias for each row, and one that makes the result larger",
        """g (float[1,2] x) => (float[2,3] y, float[2,1,3] z) <float[2,3] w = {1, 2, 3, 4, 5, 6}, float[2,1] b = {1, 2},
        float[2,1,1] c = {3, 4}> {
          a = MatMul(x, w)
          y = Add(a, b)
          d = MatMul(x, w)
          z = Add(d, c)
        }""",
    ),
    Case(
        "doubles",
        """g (double[n,2] x) => (double[n,1] y) <double[2,1] w = {1, 2}, double[1] b = {3}> {
          a = MatMul(x, w)
          y = Add(a, b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
