"""SG013: `Loop` that runs a fixed, small number of times."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG013"
REWRITES = [
    Case(
        "two iterations that carry and collect",
        """g (float[2] x) => (float[2] y, float[2,2] z) <int64 n = {2}, bool c = {1}> {
          y, z = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o, float[2] k) {
            e = Identity(d)
            o = Exp(s)
            k = Neg(o)
          }>
        }""",
        after="""g (float[2] x) => (float[2] y, float[2,2] z) <int64[1] axes = {0}, int64[1] axes_1 = {0}> {
          o = Exp(x)
          k = Neg(o)
          o_1 = Exp(o)
          k_1 = Neg(o_1)
          y = Identity(o_1)
          t0 = Unsqueeze(k, axes)
          t1 = Unsqueeze(k_1, axes_1)
          z = Concat<axis = 0>(t0, t1)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "the body may stop early",
        """g (float[2] x) => (float[2] y) <int64 n = {2}, bool c = {1}, float[2] m = {9, 9}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            o = Exp(s)
            l = ReduceMax<keepdims = 0>(o)
            h = ReduceMax<keepdims = 0>(m)
            e = Less(l, h)
          }>
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
