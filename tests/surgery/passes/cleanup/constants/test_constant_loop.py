"""SG013: `Loop` that runs a fixed, small number of times."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from onnx import helper, numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, becomes, operators, parse, run, stays

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
        "before opset 13, which gives Softmax another meaning, axes are attributes",
        """g (float[2] x) => (float[2,2] z) <int64 n = {2}, bool c = {1}> {
          y, z = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o, float[2] k) {
            e = Identity(d)
            o = Exp(s)
            k = Softmax<axis = 0>(o)
          }>
        }""",
        after="""g (float[2] x) => (float[2,2] z) {
          o = Exp(x)
          k = Softmax<axis = 0>(o)
          o_1 = Exp(o)
          k_1 = Softmax<axis = 0>(o_1)
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


def chain(count: int, start: str, end: str) -> str:
    """Relu nodes, one behind the other."""
    names = [start, *(f"{end}{place}" for place in range(count - 1)), end]
    return "  ".join(f"{after} = Relu({before})" for before, after in pairwise(names))


def nested(outer: int, inner: int, nodes: int, condition: str = "t") -> str:
    return f"""g (float[2] x) => (float[2] y) <int64 n = {{{outer}}}, int64 k = {{{inner}}}, bool t = {{1}}> {{
      y = Loop(n, t, x) <body = b (int64 i, bool c, float[2] v) => (bool co, float[2] w) {{
        co = Identity(c)
        w = Loop(k, {condition}, v) <body = d (int64 i2, bool c2, float[2] s) => (bool co2, float[2] r) {{
          co2 = Identity(c2)  {chain(nodes, "s", "r")} }}> }}> }}"""


@pytest.mark.parametrize("condition", ["t", "co"])
def test_loops_inside_loops_multiply(condition: str) -> None:
    model = parse(nested(64, 64, 70, condition), 18)
    fixed, _ = surgery.fix_model(model, guard=False, loop_limit=64)
    assert len(fixed.graph.node) < 5000
    again, _ = surgery.fix_model(fixed, guard=False, loop_limit=64)
    assert again is fixed


def test_small_loops_inside_loops_are_unrolled() -> None:
    model = parse(nested(3, 4, 1), 18)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert "Loop" not in operators(fixed)
    x = np.array([-1, 2], np.float32)
    assert np.array_equal(run(fixed, {"x": x})[0], run(model, {"x": x})[0])


def test_all_loops_of_a_model_share_what_it_may_come_to() -> None:
    loop = (
        "z%d = Loop(n, t, x) <body = b (int64 i, bool c, float[2] v) => (bool co, float[2] w) {co = Identity(c)  %s}>"
    )
    loops = "  ".join(loop % (place, chain(60, "v", "w")) for place in range(6))
    names = ", ".join(f"z{place}" for place in range(6))
    model = parse(
        f"g (float[2] x) => (float[2] y) <int64 n = {{60}}, bool t = {{1}}> {{ {loops} y = Sum({names}) }}", 18
    )
    fixed, _ = surgery.fix_model(model, guard=False, ignore=("SG009",))
    assert 0 < [node.op_type for node in fixed.graph.node].count("Loop") < 6
    assert len(fixed.graph.node) <= 10_000


def test_tensors_in_attributes_count_too() -> None:
    weights = numpy_helper.from_array(np.ones((512, 1024), np.float32))
    constant = helper.make_node("Constant", [], ["w"], value=weights)
    model = parse(
        """g (float[2,512] x) => (float[2,512] y) <int64 n = {60}, bool t = {1}> {
        y = Loop(n, t, x) <body = b (int64 i, bool c, float[2,512] v) => (bool co, float[2,512] r) {
          co = Identity(c)  m = MatMul(v, w)  r = ReduceMax<keepdims = 1>(m) }> }""",
        17,
    )
    model.graph.node[0].attribute[0].g.node.insert(1, constant)
    fixed, _ = surgery.fix_model(model, guard=False, select=("SG013",))
    assert fixed is model
