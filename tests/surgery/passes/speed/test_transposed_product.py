"""SG212: a product with weights that is transposed."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG212"
WEIGHTS = "float[3,2] w = {1, 2, 3, 4, 5, 6}"
REWRITES = [
    Case(
        "a Gemm with a bias",
        f"""g (float[n,3] x) => (float[2,n] y) <{WEIGHTS}, float[2] b = {{7, 8}}> {{
          p = Gemm(x, w, b)
          y = Transpose<perm = [1, 0]>(p)
        }}""",
        after=f"""g (float[n,3] x) => (float[2,n] y) <{WEIGHTS}, float[2,1] b = {{7, 8}}> {{
          y = Gemm<transA = 1, transB = 1>(w, x, b)
        }}""",
    ),
    Case(
        "transposed weights, factors and a bias of one number",
        f"""g (float[n,2] x) => (float[3,n] y) <{WEIGHTS}, float b = {{7}}> {{
          p = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(x, w, b)
          y = Transpose(p)
        }}""",
        after=f"""g (float[n,2] x) => (float[3,n] y) <{WEIGHTS}, float b = {{7}}> {{
          y = Gemm<alpha = 0.5, beta = 2.0, transA = 0, transB = 1>(w, x, b)
        }}""",
    ),
    Case(
        "a transposed operand and a bias for each row",
        f"""g (float[3,4] x) => (float[2,4] y) <{WEIGHTS}, float[4,1] b = {{7, 8, 9, 10}}> {{
          p = Gemm<transA = 1>(x, w, b)
          y = Transpose(p)
        }}""",
        after=f"""g (float[3,4] x) => (float[2,4] y) <{WEIGHTS}, float[1,4] b = {{7, 8, 9, 10}}> {{
          y = Gemm<transA = 1, transB = 0>(w, x, b)
        }}""",
    ),
    Case(
        "a MatMul",
        f"""g (float[n,3] x) => (float[2,n] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          y = Transpose<perm = [1, 0]>(p)
        }}""",
        after=f"g (float[n,3] x) => (float[2,n] y) <{WEIGHTS}> {{ y = Gemm<transA = 1, transB = 1>(w, x) }}",
    ),
]
LEFT_ALONE = [
    Case(
        "before opset 11, Gemm takes no product without a bias",
        f"""g (float[n,3] x) => (float[2,n] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          y = Transpose<perm = [1, 0]>(p)
        }}""",
        opset=10,
    ),
    Case(
        "three dims",
        f"""g (float[1,n,3] x) => (float[2,n,1] y) <{WEIGHTS}> {{
          p = MatMul(x, w)
          y = Transpose<perm = [2, 1, 0]>(p)
        }}""",
    ),
    Case(
        "the product is read elsewhere",
        f"""g (float[n,3] x) => (float[2,n] y, float[n,2] z) <{WEIGHTS}> {{
          p = MatMul(x, w)
          y = Transpose<perm = [1, 0]>(p)
          z = Neg(p)
        }}""",
    ),
    Case(
        "a computed bias",
        f"""g (float[n,3] x, float[2] b) => (float[2,n] y) <{WEIGHTS}> {{
          p = Gemm(x, w, b)
          y = Transpose<perm = [1, 0]>(p)
        }}""",
    ),
    Case(
        "double precision",
        """g (double[n,3] x) => (double[2,n] y) <double[3,2] w = {1, 2, 3, 4, 5, 6}> {
          p = MatMul(x, w)
          y = Transpose<perm = [1, 0]>(p)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
