"""SG007: Reshape whose shape is computed at run time although at most one dim of it changes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, becomes, same, stays

CODE = "SG007"
REWRITES = [
    Case(
        "the batch is copied",
        """g (float[n,12] x) => (float[n,3,4] y) <int64[2] t = {3, 4}> {
          s = Shape<end = 1>(x)
          k = Concat<axis = 0>(s, t)
          y = Reshape(x, k)
        }""",
        after="g (float[n,12] x) => (float[n,3,4] y) <int64[3] k = {0, 3, 4}> { y = Reshape(x, k) }",
    ),
    Case(
        "the shape is written in 32 bits, as TensorFlow does",
        """g (float[n,12] x) => (float[n,3,4] y) <int32[2] t = {3, 4}> {
          s = Shape<end = 1>(x)
          c = Cast<to = 6>(s)
          j = Concat<axis = 0>(c, t)
          k = Cast<to = 7>(j)
          y = Reshape(x, k)
        }""",
        after="g (float[n,12] x) => (float[n,3,4] y) <int64[3] k = {0, 3, 4}> { y = Reshape(x, k) }",
    ),
    Case(
        "one dim is free and not copied",
        """g (float[n,4] x) => (float[2,k] y) <int64[1] two = {2}, int64 half = {2}> {
          s = Shape<end = 1>(x)
          h = Mul(s, two)
          k = Concat<axis = 0>(two, h)
          y = Reshape(x, k)
        }""",
        after="g (float[n,4] x) => (float[2,k] y) <int64[2] k = {2, -1}> { y = Reshape(x, k) }",
    ),
    Case(
        "two dims are copied, one is left",
        """g (float[n,m,4] x) => (float[n,m,2,2] y) <int64[2] t = {2, 2}> {
          s = Shape<end = 2>(x)
          k = Concat<axis = 0>(s, t)
          y = Reshape(x, k)
        }""",
        after="g (float[n,m,4] x) => (float[n,m,2,2] y) <int64[4] k = {0, 0, 2, 2}> { y = Reshape(x, k) }",
    ),
    Case(
        "zeros are kept, so that nothing is copied",
        """g (float[n,2] x) => (float[n,2,1] y) <int64[2] t = {2, 1}> {
          s = Shape<end = 1>(x)
          k = Concat<axis = 0>(s, t)
          y = Reshape<allowzero = 1>(x, k)
        }""",
        after="""g (float[n,2] x) => (float[n,2,1] y) <int64[3] k = {-1, 2, 1}> {
          y = Reshape<allowzero = 1>(x, k)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "a product of 32 bits, which may wrap",
        """g (float[n,m] x) => (float[a,m] y) <int32[1] t = {65536}> {
          s = Shape<end = 1>(x)
          c = Cast<to = 6>(s)
          p = Mul(c, t)
          q = Div(p, t)
          w = Cast<to = 7>(q)
          e = Shape<start = 1>(x)
          k = Concat<axis = 0>(w, e)
          y = Reshape(x, k)
        }""",
    ),
    Case(
        "a dim of eight bits, which may wrap",
        """g (float[n,m] x) => (float[a,m] y) {
          s = Shape<end = 1>(x)
          c = Cast<to = 3>(s)
          w = Cast<to = 7>(c)
          e = Shape<start = 1>(x)
          k = Concat<axis = 0>(w, e)
          y = Reshape(x, k)
        }""",
    ),
    Case(
        "two dims are free and not copied",
        """g (float[n,m] x) => (float[a,b] y) {
          s = Shape<end = 1>(x)
          t = Shape<start = 1>(x)
          k = Concat<axis = 0>(t, s)
          y = Reshape(x, k)
        }""",
    ),
    Case(
        "two dims are free and zeros are kept",
        """g (float[n,m] x) => (float[a,b,c] y) <int64[1] t = {1}> {
          s = Shape(x)
          k = Concat<axis = 0>(s, t)
          y = Reshape<allowzero = 1>(x, k)
        }""",
    ),
    Case(
        "a -1 stands beside a free dim",
        """g (float[n,4] x, float[m] z) => (float[a,b] y) <int64[1] t = {-1}> {
          s = Shape(z)
          k = Concat<axis = 0>(s, t)
          y = Reshape(x, k)
        }""",
    ),
    Case("the shape is an input", "g (float[n,4] x, int64[2] k) => (float[a,b] y) { y = Reshape(x, k) }"),
    Case("the shape is constant", "g (float[n,4] x) => (float[a,b] y) <int64[2] k = {2, -1}> { y = Reshape(x, k) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_no_minus_one_beside_a_dim_that_may_be_zero(batch: int) -> None:
    text = """g (float[B,S,8] x) => (float[a,b,c] y) <int64[1] k = {2}, int64[1] f = {4}>
    { b = Shape<end = 1>(x)  s = Shape<start = 1, end = 2>(x)  d = Mul(s, k)  t = Concat<axis = 0>(b, d, f)
      i = Identity(t)  y = Reshape(x, i) }"""
    same(text, 18, "SG001", [{"x": np.ones((batch, 3, 8), np.float32)}], exact=True)
