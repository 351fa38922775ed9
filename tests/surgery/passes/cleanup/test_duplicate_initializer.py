"""SG008: Initializers with the same values."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG008"
REWRITES = [
    Case(
        "equal values",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="g (float[1] x) => (float[1] y) <float[1] a = {1}> { c = Add(x, a)  y = Mul(c, a) }",
    ),
    Case(
        "three of four",
        """g (float[1] x) => (float[1] y)
        <float[1] a = {1}, float[1] b = {1}, float[1] c = {2}, float[1] d = {1}> {
          e = Add(x, a)
          f = Mul(e, b)
          g = Sub(f, c)
          y = Div(g, d)
        }""",
        after="""g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] c = {2}> {
          e = Add(x, a)
          f = Mul(e, a)
          g = Sub(f, c)
          y = Div(g, a)
        }""",
    ),
    Case(
        "more than 32 bytes",
        """g (float[9] x) => (float[9] y)
        <float[9] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[9] b = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="""g (float[9] x) => (float[9] y) <float[9] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
          c = Add(x, a)
          y = Mul(c, a)
        }""",
    ),
    Case(
        "equal strings",
        """g (int64[2] x) => (int64[2] y) <int64[2] a = {1, 2}, int64[2] b = {1, 2}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="g (int64[2] x) => (int64[2] y) <int64[2] a = {1, 2}> { c = Add(x, a)  y = Mul(c, a) }",
    ),
]
LEFT_ALONE = [
    Case(
        "the values differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] b = {2}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the signs of zeros differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {0}, float[1] b = {-0}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the shapes differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the types differ",
        """g (int64[1] x) => (int64[1] y, int32[1] z) <int64[1] a = {0}, int32[2] b = {0, 0}> {
          y = Add(x, a)
          k = Cast<to = 6>(x)
          z = ReduceSum<keepdims = 1>(b)
        }""",
    ),
    Case(
        "both are graph outputs",
        """g (float[1] x) => (float[1] y, float[1] a, float[1] b) <float[1] a = {1}, float[1] b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
