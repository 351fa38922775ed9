"""SG023: Squeeze and Unsqueeze in a row."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG023"
REWRITES = [
    Case(
        "dims added twice",
        """g (float[n,3] x) => (float[1,n,1,3,1] y) <int64[2] a = {0, -1}, int64[1] b = {2}> {
          c = Unsqueeze(x, a)
          y = Unsqueeze(c, b)
        }""",
        after="""g (float[n,3] x) => (float[1,n,1,3,1] y) <int64[3] a = {0, 2, 4}> { y = Unsqueeze(x, a) }""",
    ),
    Case(
        "dims removed twice",
        """g (float[1,n,1,3,1] x) => (float[n,3] y) <int64[2] a = {2, 0}, int64[1] b = {-1}> {
          c = Squeeze(x, a)
          y = Squeeze(c, b)
        }""",
        after="""g (float[1,n,1,3,1] x) => (float[n,3] y) <int64[3] a = {0, 2, 4}> { y = Squeeze(x, a) }""",
    ),
    Case(
        "a dim removed and added again",
        """g (float[n,1,m] x) => (float[n,1,m] y) <int64[1] a = {1}, int64[1] b = {-2}> {
          c = Squeeze(x, a)
          d = Unsqueeze(c, b)
          y = Neg(d)
        }""",
        after="g (float[n,1,m] x) => (float[n,1,m] y) { y = Neg(x) }",
    ),
    Case(
        "a dim added and removed again, axes as attributes",
        """g (float[n,m] x) => (float[n,m] y) {
          c = Unsqueeze<axes = [1]>(x)
          d = Squeeze<axes = [1]>(c)
          y = Neg(d)
        }""",
        after="g (float[n,m] x) => (float[n,m] y) { y = Neg(x) }",
        opset=12,
    ),
    Case(
        "two readers that both add dims",
        """g (float[n,m] x) => (float[1,1,n,m] y, float[1,n,1,m] z) <int64[1] a = {0}, int64[1] b = {2}> {
          c = Unsqueeze(x, a)
          y = Unsqueeze(c, a)
          z = Unsqueeze(c, b)
        }""",
        after="""g (float[n,m] x) => (float[1,1,n,m] y, float[1,n,1,m] z) <int64[2] a = {0, 1}, int64[2] b = {0, 2}> {
          y = Unsqueeze(x, a)
          z = Unsqueeze(x, b)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "another dim is added than was removed",
        """g (float[n,1,m] x) => (float[1,n,m] y) <int64[1] a = {1}, int64[1] b = {0}> {
          c = Squeeze(x, a)
          y = Unsqueeze(c, b)
        }""",
    ),
    Case(
        "the first result is read elsewhere",
        """g (float[n,m] x) => (float[1,1,n,m] y, float[1,n,m] z) <int64[1] a = {0}> {
          c = Unsqueeze(x, a)
          y = Unsqueeze(c, a)
          z = Neg(c)
        }""",
    ),
    Case(
        "the first result is an output",
        """g (float[n,m] x) => (float[1,1,n,m] y, float[1,n,m] c) <int64[1] a = {0}> {
          c = Unsqueeze(x, a)
          y = Unsqueeze(c, a)
        }""",
    ),
    Case(
        "all dims of size one, which nobody lists",
        """g (float[n,m] x) => (float y) <int64[1] a = {0}> {
          c = Unsqueeze(x, a)
          y = Squeeze(c)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
