"""SG024: Transpose of dims of size one."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG024"
REWRITES = [
    Case(
        "a Reshape behind it",
        """g (float[n,4,1,1] x) => (float[n,4] y) <int64[2] s = {-1, 4}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          y = Reshape(a, s)
        }""",
        after="g (float[n,4,1,1] x) => (float[n,4] y) <int64[2] s = {-1, 4}> { y = Reshape(x, s) }",
    ),
    Case(
        "a Reshape that copies a dim which stays in place",
        """g (float[n,4,1,1] x) => (float[n,4] y) <int64[2] s = {0, 4}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          y = Reshape(a, s)
        }""",
        after="g (float[n,4,1,1] x) => (float[n,4] y) <int64[2] s = {0, 4}> { y = Reshape(x, s) }",
    ),
    Case(
        "a Flatten behind it",
        """g (float[n,1,1,4] x) => (float[n,4] y) {
          a = Transpose<perm = [0, 3, 1, 2]>(x)
          y = Flatten(a)
        }""",
        after="g (float[n,1,1,4] x) => (float[n,4] y) { y = Flatten(x) }",
    ),
    Case(
        "a Reshape in front of it",
        """g (float[n,28] x) => (float[n,1,1,7,4] y) <int64[5] s = {-1, 1, 7, 1, 4}> {
          a = Reshape(x, s)
          b = Transpose<perm = [0, 1, 3, 2, 4]>(a)
          y = Neg(b)
        }""",
        after="""g (float[n,28] x) => (float[n,1,1,7,4] y) <int64[5] s = {-1, 1, 1, 7, 4}> {
          b = Reshape(x, s)
          y = Neg(b)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "a dim that may be more than one",
        """g (float[n,4,m,1] x) => (float[k,4] y) <int64[2] s = {-1, 4}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          y = Reshape(a, s)
        }""",
    ),
    Case(
        "a Reshape that copies a dim",
        """g (float[4,1,3] x) => (float[1,12] y) <int64[2] s = {0, -1}> {
          a = Transpose<perm = [1, 0, 2]>(x)
          y = Reshape(a, s)
        }""",
    ),
    Case(
        "a Flatten that splits elsewhere",
        """g (float[4,1,3] x) => (float[1,12] y) {
          a = Transpose<perm = [1, 0, 2]>(x)
          y = Flatten(a)
        }""",
    ),
    Case(
        "another reader",
        """g (float[n,4,1,1] x) => (float[n,4] y, float[n,1,1,4] z) <int64[2] s = {-1, 4}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          y = Reshape(a, s)
          z = Neg(a)
        }""",
    ),
    Case(
        "the reshaped tensor is an output",
        """g (float[n,28] x) => (float[n,1,1,7,4] y, float[n,1,7,1,4] a) <int64[5] s = {-1, 1, 7, 1, 4}> {
          a = Reshape(x, s)
          b = Transpose<perm = [0, 1, 3, 2, 4]>(a)
          y = Neg(b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
