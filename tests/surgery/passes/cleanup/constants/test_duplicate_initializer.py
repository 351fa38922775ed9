"""SG008: Initializers with the same values."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, stays

CODE = "SG008"
REWRITES = [
    Case(
        "equal values",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="g (float[1] x) => (float[1] y) <float[1] a = {1}> { c = Add(x, a)  y = Mul(c, a) }",
    ),
    Case(
        "three of four",
        """g (float[1] x) => (float[1] y)
        <float[1] a = {1}, float[1] b = {1}, float[1] c = {2}, float[1] d = {1}> {
          e = Add(x, a)
          f = Mul(e, b)
          g = Sub(f, c)
          y = Div(g, d)
        }""",
        after="""g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] c = {2}> {
          e = Add(x, a)
          f = Mul(e, a)
          g = Sub(f, c)
          y = Div(g, a)
        }""",
    ),
    Case(
        "more than 32 bytes",
        """g (float[9] x) => (float[9] y)
        <float[9] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[9] b = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="""g (float[9] x) => (float[9] y) <float[9] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
          c = Add(x, a)
          y = Mul(c, a)
        }""",
    ),
    Case(
        "equal strings",
        """g (int64[2] x) => (int64[2] y) <int64[2] a = {1, 2}, int64[2] b = {1, 2}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="g (int64[2] x) => (int64[2] y) <int64[2] a = {1, 2}> { c = Add(x, a)  y = Mul(c, a) }",
    ),
]
LEFT_ALONE = [
    Case(
        "the values differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] b = {2}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the signs of zeros differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {0}, float[1] b = {-0}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the shapes differ",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
    Case(
        "the types differ",
        """g (int64[1] x) => (int64[1] y, int32[1] z) <int64[1] a = {0}, int32[2] b = {0, 0}> {
          y = Add(x, a)
          k = Cast<to = 6>(x)
          z = ReduceSum<keepdims = 1>(b)
        }""",
    ),
    Case(
        "both are graph outputs",
        """g (float[1] x) => (float[1] y, float[1] a, float[1] b) <float[1] a = {1}, float[1] b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_a_constant_of_a_branch_that_nodes_around_it_read_is_stored_once() -> None:
    model = parse(
        """g (float[2] x, bool t) => (float[2] y, float[2] z) <float[2] c = {1, 2}> {
          y = If(t) <then_branch = a () => (float[2] v) <float[2] d = {1, 2}> { w = Add(x, d)  v = Mul(w, c) },
                     else_branch = b () => (float[2] u) { u = Neg(x) }>
          z = Add(x, c) }""",
        18,
    )
    fixed, _ = surgery.fix_model(model, guard=False)
    branches = [attribute.g for node in fixed.graph.node for attribute in node.attribute if attribute.HasField("g")]
    assert len(fixed.graph.initializer) + sum(len(branch.initializer) for branch in branches) == 1
    again, _ = surgery.fix_model(fixed, guard=False)
    assert again is fixed


@pytest.mark.parametrize("raw", [True, False], ids=["raw bytes", "typed fields"])
def test_weights_that_differ_in_the_middle_only_stay_apart(raw: bool) -> None:
    model = parse("g (float[100] x) => (float[100] y) { r = Add(x, a) s = Add(r, b) t = Add(s, c) y = Add(t, d) }", 17)
    for name, place in (("a", 50), ("b", 51), ("c", 50), ("d", 51)):
        weights = np.zeros(100, np.float32)
        weights[place] = 1
        tensor = onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [100], weights)
        model.graph.initializer.append(numpy_helper.from_array(weights, name) if raw else tensor)
    fixed, report = surgery.fix_model(model, select=CODE)
    assert [node.input[1] for node in fixed.graph.node] == ["a", "b", "a", "b"]
    assert report.checks[0].figures["passes"] == {CODE: 2}
