"""SG007: Reshape whose shape is computed at run time although at most one dim of it changes."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

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
]
LEFT_ALONE = [
    Case(
        "two dims are free and not copied",
        """g (float[n,m] x) => (float[a,b] y) {
          s = Shape<end = 1>(x)
          t = Shape<start = 1>(x)
          k = Concat<axis = 0>(t, s)
          y = Reshape(x, k)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
