"""SG105: ReduceMax and ReduceMin of booleans."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG105"
REWRITES = [
    Case(
        "any",
        "g (bool[2,3] x) => (bool[2] y) <int64[1] a = {1}> { y = ReduceMax<keepdims = 0>(x, a) }",
        after="""g (bool[2,3] x) => (bool[2] y) <int64[1] a = {1}> {
          t0 = Cast<to = 6>(x)
          t1 = ReduceMax<keepdims = 0>(t0, a)
          y = Cast<to = 9>(t1)
        }""",
        opset=20,
    ),
    Case(
        "all of them, with kept dims and a negative axis",
        "g (bool[2,3] x) => (bool[2,1] y) <int64[1] a = {-1}> { y = ReduceMin(x, a) }",
        after="""g (bool[2,3] x) => (bool[2,1] y) <int64[1] a = {-1}> {
          t0 = Cast<to = 6>(x)
          t1 = ReduceMin(t0, a)
          y = Cast<to = 9>(t1)
        }""",
        opset=20,
    ),
    Case(
        "a dim of one",
        "g (bool[1,1] x) => (bool y) <int64[2] a = {0, 1}> { y = ReduceMax<keepdims = 0>(x, a) }",
        after="""g (bool[1,1] x) => (bool y) <int64[2] a = {0, 1}> {
          t0 = Cast<to = 6>(x)
          t1 = ReduceMax<keepdims = 0>(t0, a)
          y = Cast<to = 9>(t1)
        }""",
        opset=20,
    ),
]
LEFT_ALONE = [
    Case(
        "it does not reduce booleans",
        "g (float[2,3] x) => (float[2] y) <int64[1] a = {1}> { y = ReduceMax<keepdims = 0>(x, a) }",
        opset=20,
    ),
    Case(
        "a dim may be empty",
        "g (bool[2,n] x) => (bool[2] y) <int64[1] a = {1}> { y = ReduceMax<keepdims = 0>(x, a) }",
        opset=20,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
