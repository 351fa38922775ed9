"""SG028: a Gather of the only element of a dim, or a Squeeze, next to a Reshape."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG028"
REWRITES = [
    Case(
        "a Reshape in front",
        """g (float[2,3,4] x) => (float[6,4] y) <int64[3] s = {1, -1, 4}, int64 i = {0}> {
          a = Reshape(x, s)
          y = Gather<axis = 0>(a, i)
        }""",
        after="g (float[2,3,4] x) => (float[6,4] y) <int64[2] s = {-1, 4}> { y = Reshape(x, s) }",
    ),
    Case(
        "a Squeeze behind a Reshape",
        """g (float[2,n] x) => (float[n,2] y) <int64[3] s = {-1, 1, 2}, int64[1] i = {-2}> {
          a = Reshape(x, s)
          y = Squeeze(a, i)
        }""",
        after="g (float[2,n] x) => (float[n,2] y) <int64[2] s = {-1, 2}> { y = Reshape(x, s) }",
    ),
    Case(
        "two Reshapes behind",
        """g (float[n,1,4] x) => (float[k,2] y, float[l,4] z)
          <int64 i = {-1}, int64[2] s = {-1, 2}, int64[2] t = {-1, 4}> {
          a = Gather<axis = 1>(x, i)
          y = Reshape(a, s)
          z = Reshape(a, t)
        }""",
        after="""g (float[n,1,4] x) => (float[k,2] y, float[l,4] z) <int64[2] s = {-1, 2}, int64[2] t = {-1, 4}> {
          y = Reshape(x, s)
          z = Reshape(x, t)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "the dim may have more elements",
        """g (float[n,m,4] x) => (float[k,2] y) <int64 i = {0}, int64[2] s = {-1, 2}> {
          a = Gather<axis = 1>(x, i)
          y = Reshape(a, s)
        }""",
    ),
    Case(
        "a vector of indices keeps the dim",
        """g (float[2,3,4] x) => (float[1,6,4] y) <int64[3] s = {1, -1, 4}, int64[1] i = {0}> {
          a = Reshape(x, s)
          y = Gather<axis = 0>(a, i)
        }""",
    ),
    Case(
        "a Reshape that copies a dim",
        """g (float[n,1,4] x) => (float[n,2,2] y) <int64 i = {0}, int64[3] s = {0, 2, 2}> {
          a = Gather<axis = 1>(x, i)
          y = Reshape(a, s)
        }""",
    ),
    Case(
        "another node reads the Reshape",
        """g (float[2,3,4] x) => (float[6,4] y, float[1,6,4] z) <int64[3] s = {1, -1, 4}, int64 i = {0}> {
          a = Reshape(x, s)
          y = Gather<axis = 0>(a, i)
          z = Neg(a)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
