"""SG009: Nodes that compute the same as an earlier node."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG009"
REWRITES = [
    Case(
        "equal nodes",
        """g (float[2] x) => (float[2] y) {
          a = Relu(x)
          b = Relu(x)
          c = Neg(a)
          d = Neg(b)
          y = Add(c, d)
        }""",
        after="g (float[2] x) => (float[2] y) { a = Relu(x)  c = Neg(a)  y = Add(c, c) }",
    ),
]
LEFT_ALONE = [
    Case(
        "two draws of random numbers differ",
        """g (float[2] x) => (float[2] y) {
          a = RandomNormalLike(x)
          b = RandomNormalLike(x)
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
