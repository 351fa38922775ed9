"""SG020: Transpose, Reshape and Transpose in a row where one or two of them are enough."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG020"
REWRITES = [
    Case(
        "a Reshape first",
        """g (float[2,6,4,5] x) => (float[2,2,20,3] y) <int64[4] s = {2, 20, 2, 3}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [0, 2, 1, 3]>(b)
        }""",
        after="""g (float[2,6,4,5] x) => (float[2,2,20,3] y) <int64[4] t0 = {2, 2, 3, 20}> {
          t1 = Reshape(x, t0)
          y = Transpose<perm = [0, 1, 3, 2]>(t1)
        }""",
    ),
    Case(
        "a Transpose first",
        """g (float[2,3,4] x) => (float[3,8] y) <int64[2] s = {8, 3}> {
          a = Transpose<perm = [0, 2, 1]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
        after="""g (float[2,3,4] x) => (float[3,8] y) <int64[2] t0 = {3, 8}> {
          t1 = Transpose<perm = [1, 0, 2]>(x)
          y = Reshape(t1, t0)
        }""",
    ),
    Case(
        "a dim of one",
        """g (float[2,3,4] x) => (float[4,1,3,2] y) <int64[4] s = {2, 4, 1, 3}> {
          a = Transpose<perm = [0, 2, 1]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 2, 3, 0]>(b)
        }""",
        after="""g (float[2,3,4] x) => (float[4,1,3,2] y) <int64[4] t0 = {1, 2, 3, 4}> {
          t1 = Reshape(x, t0)
          y = Transpose<perm = [3, 0, 2, 1]>(t1)
        }""",
    ),
    Case(
        "they undo each other",
        """g (float[2,6] x) => (float[2,6] y) <int64[2] s = {6, 2}> {
          a = Transpose<perm = [1, 0]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
        after="g (float[2,6] x) => (float[2,6] y) <int64[2] t0 = {2, 6}> { y = Reshape(x, t0) }",
    ),
]
LEFT_ALONE = [
    Case(
        "the permutations need all three nodes",
        """g (float[6,4] x) => (float[12,2] y) <int64[2] s = {2, 12}> {
          a = Transpose<perm = [1, 0]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
    ),
    Case(
        "a dim is free",
        """g (float[n,2,3] x) => (float[k,3,1] y) <int64[3] s = {-1, 1, 3}> {
          a = Transpose<perm = [0, 1, 2]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [0, 2, 1]>(b)
        }""",
    ),
    Case(
        "a dim is empty",
        """g (float[2,0,4] x) => (float[0,8] y) <int64[2] s = {8, 0}> {
          a = Transpose<perm = [0, 2, 1]>(x)
          b = Reshape<allowzero = 1>(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
    ),
    Case(
        "a result in between is read elsewhere",
        """g (float[2,3,4] x) => (float[3,8] y, float[8,3] z) <int64[2] s = {8, 3}> {
          a = Transpose<perm = [0, 2, 1]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
          z = Neg(b)
        }""",
    ),
    Case(
        "a result in between is an output",
        """g (float[2,3,4] x) => (float[3,8] y, float[2,4,3] a) <int64[2] s = {8, 3}> {
          a = Transpose<perm = [0, 2, 1]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
    ),
    Case(
        "no common factors",
        """g (float[4,3] x) => (float[2,6] y) <int64[2] s = {6, 2}> {
          a = Transpose<perm = [1, 0]>(x)
          b = Reshape(a, s)
          y = Transpose<perm = [1, 0]>(b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
