"""SG021: A Concat that reads the result of another Concat along the same axis."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG021"
REWRITES = [
    Case(
        "three in a row",
        """g (float[2,3] x, float[2,1] z) => (float[2,9] y) {
          a = Concat<axis = 1>(x, z)
          b = Concat<axis = -1>(a, x)
          y = Concat<axis = 1>(z, b, z)
        }""",
        after="g (float[2,3] x, float[2,1] z) => (float[2,9] y) { y = Concat<axis = 1>(z, x, z, x, z) }",
    ),
    Case(
        "axes counted from both ends",
        """g (float[2,3] x) => (float[2,9] y) {
          a = Concat<axis = -1>(x, x)
          y = Concat<axis = 1>(a, x)
        }""",
        after="g (float[2,3] x) => (float[2,9] y) { y = Concat<axis = 1>(x, x, x) }",
    ),
    Case(
        "one tensor twice, an empty one between",
        """g (float[2] x, float[0] z) => (float[6] y) {
          a = Concat<axis = 0>(x, z)
          b = Concat<axis = 0>(x, x)
          y = Concat<axis = 0>(a, b)
        }""",
        after="g (float[2] x, float[0] z) => (float[6] y) { y = Concat<axis = 0>(x, z, x, x) }",
    ),
]
LEFT_ALONE = [
    Case(
        "the axes differ",
        """g (float[2,3] x) => (float[4,6] y) {
          a = Concat<axis = 1>(x, x)
          y = Concat<axis = 0>(a, a)
        }""",
    ),
    Case(
        "the result of the first is read twice",
        """g (float[2,3] x) => (float[2,12] y) {
          a = Concat<axis = 1>(x, x)
          y = Concat<axis = 1>(a, a)
        }""",
    ),
    Case(
        "the result of the first is an output",
        """g (float[2,3] x) => (float[2,9] y, float[2,6] a) {
          a = Concat<axis = 1>(x, x)
          y = Concat<axis = 1>(a, x)
        }""",
    ),
    Case(
        "the rank is unknown and the axes may differ",
        "g (float[] x) => (float[] y) { a = Concat<axis = -1>(x, x)  y = Concat<axis = 1>(a, x) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
