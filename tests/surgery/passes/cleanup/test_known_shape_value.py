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
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
