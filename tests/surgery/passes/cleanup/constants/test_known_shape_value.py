"""SG006: Shape arithmetic whose result does not depend on any free dim."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, operators, parse, run, same, stays

CODE = "SG006"
REWRITES = [
    Case(
        "Shape with start and end",
        "g (float[n,3,4,5] x) => (int64[2] y) { s = Shape<start = 1, end = 3>(x)  y = Mul(s, s) }",
        after="g (float[n,3,4,5] x) => (int64[2] y) { y = Constant<value = int64[2] {9, 16}>() }",
    ),
    Case(
        "one known dim beside a free dim",
        """g (float[n,3] x) => (float[n,3] y) <int64 one = {1}> {
          s = Shape(x)
          d = Gather(s, one)
          f = Cast<to = 1>(d)
          y = Mul(x, f)
        }""",
        after="g (float[n,3] x) => (float[n,3] y) <int64 d = {3}> { f = Cast<to = 1>(d)  y = Mul(x, f) }",
    ),
    Case(
        "an empty dim",
        """g (float[n,0] x) => (int64[2] y) <int64[1] z = {0}> {
          s = Shape<start = -1>(x)
          y = Concat<axis = 0>(s, z)
        }""",
        after="g (float[n,0] x) => (int64[2] y) { y = Constant<value = int64[2] {0, 0}>() }",
    ),
    Case(
        "a free dim divided by itself",
        """g (float[n] x) => (float[n] y) {
          s = Size(x)
          o = Div(s, s)
          f = Cast<to = 1>(o)
          y = Mul(x, f)
        }""",
        after="g (float[n] x) => (float[n] y) <int64 o = {1}> { f = Cast<to = 1>(o)  y = Mul(x, f) }",
    ),
]
LEFT_ALONE = [
    Case("the dim is free", "g (float[n,3] x) => (int64[1] y) { y = Shape<end = 1>(x) }"),
    Case(
        "two dims called ? may differ",
        """g (float["?"] x, float["?"] z) => (bool[1] y) {
          a = Shape(x)
          b = Shape(z)
          y = Equal(a, b)
        }""",
    ),
    Case(
        "the sum depends on a free dim",
        "g (float[n] x) => (int64[1] y) <int64[1] one = {1}> { s = Shape(x)  y = Add(s, one) }",
    ),
    Case(
        "dims of two inputs may differ in spite of one name",
        "g (float[n] x, float[n] z) => (bool[1] y) { a = Shape(x)  b = Shape(z)  y = Equal(a, b) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


SLICE = """g (float[2,3,4] x) => (int64[n] y)
<int64[1] a = {%d}, int64[1] b = {%d}, int64[1] ax = {0}, int64[1] st = {%d}>
{ h = Shape(x)  p = Slice(h, a, b, ax, st)  y = Neg(p) }"""
BOUNDS = [
    (-9, -20, -1),
    (9, -20, -1),
    (-1, -9, -2),
    (1, -1, -1),
    (0, -3, -1),
    (3, 0, -1),
    (-9, 9, 1),
    (5, 9, 1),
    (2, 1, 1),
]


@pytest.mark.parametrize(("start", "end", "step"), BOUNDS)
def test_a_slice_of_a_shape_is_clamped(start: int, end: int, step: int) -> None:
    fixed = same(SLICE % (start, end, step), 18, "SG006", [{"x": np.ones((2, 3, 4), np.float32)}], exact=True)
    assert not operators(fixed) & {"Shape", "Slice"}


def test_bounds_that_runtimes_read_differently_stay() -> None:
    fixed = same(SLICE % (2, 2**63 - 1, -1), 18, "SG006", [{"x": np.ones((2, 3, 4), np.float32)}], select=("SG006",))
    assert "Slice" in operators(fixed)


def test_a_start_known_only_at_run_time() -> None:
    model = parse(
        """g (float[1,4,2] x, int64[1] i) => (int64[a] s) <int64[1] e = {3}, int64[1] z = {0}>
        { c = Shape(x)  w = Slice(c, i, e, z)  r = Reshape(x, w)  s = Shape(r) }""",
        18,
    )
    fixed, _ = surgery.fix_model(model, guard=False)
    for start in (0, 1):
        inputs = {"x": np.ones((1, 4, 2), np.float32), "i": np.array([start])}
        try:
            wanted = run(model, inputs)
        except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
            continue
        assert np.array_equal(run(fixed, inputs)[0], wanted[0])


@pytest.mark.parametrize(("kind", "size"), [(9, 1), (2, 44)])
def test_a_cast_that_changes_the_value(kind: int, size: int) -> None:
    text = f"""g (float[300,1] x) => (int64[a] s) <int64[1] first = {{0}}>
    {{ h = Shape(x)  f = Gather(h, first)  b = Cast<to = {kind}>(f)  n = Cast<to = 7>(b)  y = ConstantOfShape(n)
       s = Shape(y) }}"""
    fixed, _ = surgery.fix_model(parse(text, 18), guard=False)
    assert run(fixed, {"x": np.ones((300, 1), np.float32)})[0].tolist() == [size]


def test_contents_reach_into_branches_and_out_again() -> None:
    text = """g (float[2,6] x, bool c) => (int64[2] y) <int64[1] m = {-1}, int64 first = {0}, int64[1] z = {0}>
    { h = Shape(x)  d = Gather(h, first)  u = Unsqueeze(d, z)  t = Concat<axis = 0>(u, m)
      r = If(c) <then_branch = a () => (float[p,q] v) { v = Reshape(x, t) },
                 else_branch = b () => (float[p2,q2] w) { n = Neg(x)  w = Reshape(n, t) }>
      s = Shape(r)  y = Neg(s) }"""
    for condition in (True, False):
        inputs = {"x": np.ones((2, 6), np.float32), "c": np.array(condition)}
        fixed = same(text, 18, "SG006", [inputs], exact=True)
        assert run(fixed, inputs)[0].tolist() == [-2, -6]
        assert "Shape" not in operators(fixed)
