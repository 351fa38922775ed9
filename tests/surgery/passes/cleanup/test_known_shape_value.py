"""SG006: Shape arithmetic whose result does not depend on any free dim."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG006"
REWRITES = [
    Case(
        "Shape with start and end",
        "g (float[n,3,4,5] x) => (int64[2] y) { s = Shape<start = 1, end = 3>(x)  y = Mul(s, s) }",
        after="g (float[n,3,4,5] x) => (int64[2] y) { y = Constant<value = int64[2] {9, 16}>() }",
    ),
    Case(
        "one known dim beside a free dim",
        """g (float[n,3] x) => (float[n,3] y) <int64 one = {1}> {
          s = Shape(x)
          d = Gather(s, one)
          f = Cast<to = 1>(d)
          y = Mul(x, f)
        }""",
        after="g (float[n,3] x) => (float[n,3] y) <int64 d = {3}> { f = Cast<to = 1>(d)  y = Mul(x, f) }",
    ),
    Case(
        "an empty dim",
        """g (float[n,0] x) => (int64[2] y) <int64[1] z = {0}> {
          s = Shape<start = -1>(x)
          y = Concat<axis = 0>(s, z)
        }""",
        after="g (float[n,0] x) => (int64[2] y) { y = Constant<value = int64[2] {0, 0}>() }",
    ),
    Case(
        "a free dim divided by itself",
        """g (float[n] x) => (float[n] y) {
          s = Size(x)
          o = Div(s, s)
          f = Cast<to = 1>(o)
          y = Mul(x, f)
        }""",
        after="g (float[n] x) => (float[n] y) <int64 o = {1}> { f = Cast<to = 1>(o)  y = Mul(x, f) }",
    ),
]
LEFT_ALONE = [
    Case("the dim is free", "g (float[n,3] x) => (int64[1] y) { y = Shape<end = 1>(x) }"),
    Case(
        "two dims called ? may differ",
        """g (float["?"] x, float["?"] z) => (bool[1] y) {
          a = Shape(x)
          b = Shape(z)
          y = Equal(a, b)
        }""",
    ),
    Case(
        "the sum depends on a free dim",
        "g (float[n] x) => (int64[1] y) <int64[1] one = {1}> { s = Shape(x)  y = Add(s, one) }",
    ),
    Case(
        "dims of two inputs may differ in spite of one name",
        "g (float[n] x, float[n] z) => (bool[1] y) { a = Shape(x)  b = Shape(z)  y = Equal(a, b) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
