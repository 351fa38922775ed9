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
]
LEFT_ALONE = [
    Case(
        "broadcasting enlarges the side that is chosen",
        """g (float[1] x, float[2] z) => (float[2] y) <bool c = {1}> {
          a = Where(c, x, z)
          y = Relu(a)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
