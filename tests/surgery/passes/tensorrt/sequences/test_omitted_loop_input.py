"""SG151: loops whose body reads an input that the loop is not given."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG151"
COUNTED = """g (float[2] x, int64 n) => (float[2] y) {
  y = Loop (n, "", x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) {
    d = Identity(c)
    t = Add(s, x) }> }"""
WHILE = """g (float[2] x, int64 n) => (float[2] y) <bool on = {1}> {
  y = Loop ("", on, x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) {
    d = Less(i, n)
    t = Add(s, x) }> }"""
REWRITES = [
    Case("the condition is handed on", COUNTED, inputs={"n": 3}),
    Case("the iterations are counted", WHILE, inputs={"n": 3}),
    Case("neither is given", WHILE.replace('Loop ("", on', 'Loop ("", ""'), inputs={"n": 3}),
    Case(
        "the condition is collected too",
        """g (float[2] x, int64 n) => (float[2] y, bool[N] z) {
          y, z = Loop (n, "", x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t, bool e) {
            d = Identity(c)
            e = Not(c)
            t = Add(s, x) }> }""",
        inputs={"n": 3},
    ),
    Case(
        "in a branch",
        """g (float[2] x, int64 n, bool k) => (float[2] y) {
          y = If (k) <then_branch = p () => (float[2] z) {
            z = Loop (n, "", x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) {
              d = Identity(c)
              t = Add(s, x) }> }, else_branch = q () => (float[2] w) { w = Neg(x) }> }""",
        inputs={"n": 3, "k": True},
    ),
]
LEFT_ALONE = [
    Case("the body computes its condition", COUNTED.replace("Identity(c)", "Less(i, n)")),
    Case("both are given", COUNTED.replace('Loop (n, ""', "Loop (n, k").replace("int64 n)", "int64 n, bool k)")),
    Case(
        "how much is collected is not known",
        """g (float[2] x, int64 n) => (float[2] y, int64[N] z) <bool on = {1}> {
          y, z = Loop ("", on, x) <body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t, int64 e) {
            d = Less(i, n)
            e = Identity(i)
            t = Add(s, x) }> }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_loop_runs_as_often(count: int) -> None:
    same(COUNTED, 17, CODE, [{"n": count}], exact=True)
    same(WHILE, 17, CODE, [{"n": count}], exact=True)


# A trip count that is an input and decides on shapes needs values in the profile.
@pytest.mark.parametrize("case", [case for case in REWRITES if "collected" not in case.name], ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
