"""SG104: UINT8 tensors in the middle of the graph."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG104"
REWRITES = [
    Case(
        "to uint8 and on",
        "g (float[3] x) => (float[3] y) { q = Cast<to = 2>(x)  y = Cast<to = 1>(q) }",
        after="""g (float[3] x) => (float[3] y)
        <int32 a1 = {256}, int32 a2 = {256}, int32 zero = {0}, int32 a3 = {256}> {
          t1 = Cast<to = 6>(x)
          t2 = Div(t1, a1)
          t3 = Mul(t2, a2)
          rest = Sub(t1, t3)
          negative = Less(rest, zero)
          above = Add(rest, a3)
          wrapped = Where(negative, above, rest)
          y = Cast<to = 1>(wrapped)
        }""",
        inputs={"x": [1.5, 200.0, 7.0]},
    ),
    Case(
        "also read by Shape",
        """g (uint8[N,H,3] x) => (float[3,N,H] y, int64[3] size) {
          t = Transpose<perm = [2, 0, 1]>(x)
          size = Shape(t)
          y = Cast<to = 1>(t)
        }""",
    ),
    Case(
        "a graph input, read in branches",
        """g (bool c, uint8[N,3] x) => (float[N,3] y) {
          y = If (c) <
            then_branch = t () => (z) { z = Cast<to = 1>(x) },
            else_branch = e () => (u) {
              size = Shape(x)
              u = ConstantOfShape(size) }> }""",
        inputs={"c": True},
    ),
    Case(
        "a graph input, read in a branch of a branch",
        """g (bool c, uint8[N,3] x) => (float[N,3] y) {
          y = If (c) <
            then_branch = t () => (z) {
              h = Cast<to = 10>(x)
              z = Cast<to = 1>(h) },
            else_branch = e () => (u) {
              u = If (c) <
                then_branch = v () => (w) { w = Cast<to = 1>(x) },
                else_branch = f () => (o) {
                  i = Cast<to = 1>(x)
                  o = Neg(i) }> }> }""",
        inputs={"c": False},
    ),
]
LEFT_ALONE = [
    Case("it is a graph output", "g (float[3] x) => (uint8[3] y) { y = Cast<to = 2>(x) }"),
    Case(
        "an operator other than Cast reads it",
        "g (float[3] x, uint8[3] z) => (uint8[3] y) { q = Cast<to = 2>(x)  y = Max(q, z) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", [case for case in REWRITES if "branch" in case.name], ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
