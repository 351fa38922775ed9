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
    Case(
        "no iteration",
        """g (float[2] x) => (float[2] y) <int64 n = {0}, bool c = {1}> {
          a = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            e = Identity(d)
            o = Exp(s)
          }>
          y = Neg(a)
        }""",
        after="g (float[2] x) => (float[2] y) { a = Identity(x)  y = Neg(a) }",
    ),
    Case(
        "before opset 13",
        """g (float[2] x) => (float[2,2] z) <int64 n = {2}, bool c = {1}> {
          y, z = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o, float[2] k) {
            e = Identity(d)
            o = Exp(s)
            k = Neg(o)
          }>
        }""",
        after="""g (float[2] x) => (float[2,2] z) {
          o = Exp(x)
          k = Neg(o)
          o_1 = Exp(o)
          k_1 = Neg(o_1)
          t0 = Unsqueeze<axes = [0]>(k)
          t1 = Unsqueeze<axes = [0]>(k_1)
          z = Concat<axis = 0>(t0, t1)
        }""",
        opset=12,
    ),
    Case(
        "a constant condition inside",
        """g (float[2] x) => (float[2] y) <int64 n = {1}, bool c = {1}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) <bool e = {1}> {
            o = Exp(s)
          }>
        }""",
        after="g (float[2] x) => (float[2] y) { o = Exp(x)  y = Identity(o) }",
    ),
    Case(
        "the iteration number is read",
        """g (float[1] x) => (float[3,1] z) <int64 n = {3}, bool c = {1}> {
          z = Loop(n, c)<body = b (int64 i, bool d) => (bool e, float[1] k) {
            e = Identity(d)
            f = Cast<to = 1>(i)
            k = Mul(f, x)
          }>
        }""",
        after="""g (float[1] x) => (float[3,1] z)
        <int64 iteration = {0}, int64 iteration_1 = {1}, int64 iteration_2 = {2}, int64[1] axes = {0},
        int64[1] axes_1 = {0}, int64[1] axes_2 = {0}> {
          f = Cast<to = 1>(iteration)
          k = Mul(f, x)
          f_1 = Cast<to = 1>(iteration_1)
          k_1 = Mul(f_1, x)
          f_2 = Cast<to = 1>(iteration_2)
          k_2 = Mul(f_2, x)
          t0 = Unsqueeze(k, axes)
          t1 = Unsqueeze(k_1, axes_1)
          t2 = Unsqueeze(k_2, axes_2)
          z = Concat<axis = 0>(t0, t1, t2)
        }""",
    ),
    Case(
        "two states that change places",
        """g (float[2] x, float[2] z) => (float[2] y, float[2] w) <int64 n = {3}, bool c = {1}> {
          y, w = Loop(n, c, x, z)<
          body = b (int64 i, bool d, float[2] s, float[2] t) => (bool e, float[2] p, float[2] q) {
            e = Identity(d)
            p = Abs(t)
            q = Neg(s)
          }>
        }""",
        after="""g (float[2] x, float[2] z) => (float[2] y, float[2] w) {
          p = Abs(z)
          q = Neg(x)
          p_1 = Abs(q)
          q_1 = Neg(p)
          p_2 = Abs(q_1)
          q_2 = Neg(p_1)
          y = Identity(p_2)
          w = Identity(q_2)
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
    Case(
        "no iteration, and something is collected",
        """g (float[2] x) => (float[2] y, float[k,2] z) <int64 n = {0}, bool c = {1}> {
          y, z = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o, float[2] k) {
            e = Identity(d)
            o = Exp(s)
            k = Neg(o)
          }>
        }""",
    ),
    Case(
        "the trip count is an input",
        """g (float[2] x, int64 n) => (float[2] y) <bool c = {1}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            e = Identity(d)
            o = Exp(s)
          }>
        }""",
    ),
    Case(
        "more iterations than --loop-limit",
        """g (float[2] x) => (float[2] y) <int64 n = {65}, bool c = {1}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            e = Identity(d)
            o = Neg(s)
          }>
        }""",
    ),
    Case(
        "it may not start",
        """g (float[2] x, bool c) => (float[2] y) <int64 n = {2}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            e = Identity(d)
            o = Neg(s)
          }>
        }""",
    ),
    Case(
        "it never starts",
        """g (float[2] x) => (float[2] y) <int64 n = {2}, bool c = {0}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) {
            e = Identity(d)
            o = Neg(s)
          }>
        }""",
    ),
    Case(
        "it stops after the first iteration",
        """g (float[2] x) => (float[2] y) <int64 n = {2}, bool c = {1}> {
          y = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) <bool e = {0}> {
            o = Neg(s)
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
