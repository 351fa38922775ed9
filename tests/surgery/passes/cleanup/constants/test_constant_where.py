"""SG014: `Where` that always chooses the same side."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG014"
REWRITES = [
    Case(
        "the first side",
        """g (float[2] x, float[2] z) => (float[2] y) <bool c = {1}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
        after="g (float[2] x, float[2] z) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "the second side",
        """g (float[2] x, float[2] z) => (float[2] y) <bool[2] c = {0, 0}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
        after="g (float[2] x, float[2] z) => (float[2] y) { y = Relu(z) }",
    ),
    Case(
        "a condition that follows from known dims",
        """g (float[2,n] x, float[2] p, float[2] q) => (float[2] y) <int64[1] two = {2}> {
          s = Shape<end = 1>(x)
          c = Equal(s, two)
          a = Where(c, p, q)
          y = Relu(a)
        }""",
        after="g (float[2,n] x, float[2] p, float[2] q) => (float[2] y) { y = Relu(p) }",
    ),
]
LEFT_ALONE = [
    Case(
        "broadcasting enlarges the side that is chosen",
        """g (float[1] x, float[2] z) => (float[2] y) <bool c = {1}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
    ),
    Case(
        "the condition differs between elements",
        """g (float[2] x, float[2] z) => (float[2] y) <bool[2] c = {0, 1}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
    ),
    Case(
        "the condition is an input",
        "g (float[2] x, float[2] z, bool[2] c) => (float[2] y) { a = Where(c, x, z)  y = Relu(a) }",
    ),
    Case(
        "the condition is larger than the side",
        """g (float[1] x, float[1] z) => (float[2] y) <bool[2] c = {1, 1}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
    ),
    Case(
        "the condition has no elements",
        """g (float[0] x, float[0] z) => (float[0] y) <bool[0] c = {}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
    ),
    Case(
        "it stands between an input and an output",
        "g (float[2] x, float[2] z) => (float[2] y) <bool c = {1}> { y = Where(c, x, z) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
