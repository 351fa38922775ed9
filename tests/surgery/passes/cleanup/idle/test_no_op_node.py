"""SG010: a node is removed exactly if it returns its input; tried with every small form of its operands."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import surgery
from surgery.passes.cleanup.idle.no_op_node import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, run, stays
from tests.surgery.passes.one_node import goes, model

CODE = "SG010"


REWRITES = [
    Case(
        "Round of whole numbers, and Clip of numbers within the limits",
        """g (float[n] x) => (float[n] y) <float six = {6}, float low = {-3}, float high = {4}, float top = {4.5}> {
          a = Round(x)
          b = Sub(a, six)
          c = Floor(b)
          d = Round(c)
          e = Clip(d, low, high)
          f = Ceil(e)
          h = Clip(f, low, top)
          y = Relu(h)
        }""",
        after="""g (float[n] x) => (float[n] y) <float six = {6}, float low = {-3}, float high = {4}> {
          a = Round(x)
          b = Sub(a, six)
          e = Clip(b, low, high)
          y = Relu(e)
        }""",
    ),
    Case(
        "Cast to the same",
        "g (float[2] x) => (float[2] y) { a = Cast<to = 1>(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Slice of all",
        """g (float[n] x) => (float[n] y) <int64[1] a = {0}, int64[1] b = {9223372036854775807}> {
          c = Slice(x, a, b)
          y = Relu(c)
        }""",
        after="g (float[n] x) => (float[n] y) { y = Relu(x) }",
    ),
    Case(
        "Slice to the own dim",
        """g (float[n] x) => (float[n] y) <int64[1] a = {0}> {
          b = Shape(x)
          c = Slice(x, a, b)
          y = Relu(c)
        }""",
        after="g (float[n] x) => (float[n] y) { y = Relu(x) }",
    ),
    Case(
        "Expand to the own shape",
        "g (float[n,2] x) => (float[n,2] y) { s = Shape(x)  a = Expand(x, s)  y = Relu(a) }",
        after="g (float[n,2] x) => (float[n,2] y) { y = Relu(x) }",
    ),
    Case(
        "Dropout",
        "g (float[2] x) => (float[2] y) { a, m = Dropout(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Pad by nothing",
        "g (float[2] x) => (float[2] y) <int64[2] p = {0, 0}> { a = Pad(x, p)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "Concat of one",
        "g (float[2] x) => (float[2] y) { a = Concat<axis = 0>(x)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
]


LEFT_ALONE = [
    Case(
        "Round of sums with fractions, and Clip to fewer numbers",
        """g (float[n] x) => (float[n] y) <float half = {0.5}, float low = {-3}, float high = {4}, float top = {3}> {
          a = Round(x)
          b = Add(a, half)
          c = Round(b)
          d = Clip(c, low, high)
          e = Clip(d, low, top)
          y = Relu(e)
        }""",
    ),
    Case(
        "Clip at zero, which may turn -0.0 into 0.0, and Clip of what may be NaN",
        """g (float[n] x) => (float[n] y, float[n] z) <float zero = {0}, float low = {-3}, float high = {4}> {
          a = Round(x)
          b = Clip(a, zero, high)
          c = Clip(b, zero, high)
          y = Relu(c)
          d = Min(a, high)
          e = Clip(d, low, high)
          z = Relu(e)
        }""",
    ),
    Case("Cast to another type", "g (float[2] x) => (float16[2] y) { y = Cast<to = 10>(x) }"),
    Case(
        "Slice of some elements",
        "g (float[4] x) => (float[k] y) <int64[1] a = {1}, int64[1] b = {9}> { y = Slice(x, a, b) }",
    ),
    Case(
        "Expand to a larger shape",
        """g (float[1,2] x, float[n] z) => (float[a,b] y) <int64[1] t = {2}> {
          s = Shape(z)
          k = Concat<axis = 0>(s, t)
          y = Expand(x, k)
        }""",
    ),
    Case(
        "Dropout with a mask that is read",
        "g (float[2] x) => (float[2] y, bool[2] m) { a, m = Dropout(x)  y = Relu(a) }",
    ),
]


def test_bounds_that_are_computed_at_run_time_stay() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[4] x, int64[1] k) => (float[n] p, float[m] q, float[l] r)
    <int64[1] zero = {0}, int64[1] four = {4}, int64[1] one = {1}>
    { a = Slice(x, zero, k)  p = Relu(a)  b = Slice(x, k, four)  q = Relu(b)
      c = Slice(x, zero, four, zero, k)  r = Relu(c) }"""
    source = onnx.parser.parse_model(text)
    assert apply_passes(source, "", [PASS], Options()).model is source


@pytest.mark.parametrize("dims", ["n,3", "?,3", "?,?"])
@pytest.mark.parametrize("op", ["Expand", "Reshape"])
def test_the_shape_of_the_tensor_itself(op: str, dims: str) -> None:
    """Free dims are one and the same only where they are of one tensor: a name alone proves nothing."""
    named = ", ".join(f'"{dim}"' if dim == "?" else dim for dim in dims.split(","))
    head = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{named}] x, float[{named}] z) => (float[a,b] y) '
    for other, gone in (("x", True), ("z", False)):
        source = onnx.parser.parse_model(head + f"{{ c = Relu(x)  s = Shape({other})  t = {op}(c, s)  y = Neg(t) }}")
        result = apply_passes(source, "", [PASS], Options()).model
        assert (op not in [node.op_type for node in result.graph.node]) is gone, other


def test_split_and_dropout_with_a_second_output() -> None:
    split = ("Split", [[3, 3]], {"axis": 1})
    assert not goes(model(split, (2, 6), outputs=2))
    assert goes(model(("Dropout", [], {}), outputs=2)), "the mask is not read"
    read = model(("Dropout", [], {}), outputs=2)
    read.graph.output.append(helper.make_tensor_value_info("b1", onnx.TensorProto.BOOL, [2, 3]))
    assert not goes(read)
    read.graph.output.pop()
    read.graph.node.append(helper.make_node("Not", ["b1"], ["z"]))
    read.graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.BOOL, [2, 3]))
    assert not goes(read)


def test_every_one_of_several_goes_and_says_what_it_hands_on() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[2,3] x) => (float[2,3] y)
    <int64[2] s = {3, 2}, int64[2] t = {2, 3}>
    { a = Relu(x) b = Reshape(a, s) c = Reshape(b, t) d = Reshape(c, t) e = Reshape(d, t) m = Cast<to=10>(e)
      n = Cast<to=1>(m) o = Cast<to=1>(n) q, w = Dropout(o) y = Relu(q) }"""
    outcome = apply_passes(onnx.parser.parse_model(text), "", [PASS], Options())
    assert [node.op_type for node in outcome.model.graph.node] == ["Relu", "Reshape", "Reshape", "Cast", "Cast", "Relu"]
    assert sorted(found.message for found in outcome.applied) == [f"returns '{name}' unchanged" for name in "cdno"]


@pytest.mark.parametrize(
    ("op", "declared", "gone"),
    [("Expand", "2,3", True), ("Expand", "4,2,3", False), ("Reshape", "2,3", True), ("Reshape", "3,2", False)],
)
def test_the_shape_of_the_result_may_be_declared(op: str, declared: str, gone: bool) -> None:
    """What the file says of a tensor in between holds where the operand is known at run time only."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x, int64[k] s) => (float[{declared}] y) '
    source = onnx.parser.parse_model(text + f"<float[{declared}] e> {{ e = {op}(x, s)  y = Relu(e) }}")
    fixed = apply_passes(source, "", [PASS], Options()).model
    assert [node.op_type for node in fixed.graph.node] == (["Relu"] if gone else [op, "Relu"])


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_an_attribute_that_the_caller_of_a_function_sets() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
        g (float[2,3] x) => (float[3,2] y, float[2,3] z) {
          i = Identity(x)  y = own.Turned<order = [1, 0]>(i)  z = own.Turned<order = [0, 1]>(i) }
        <domain: "own", opset_import: ["" : 18]> Turned <order> (p) => (s) {
          q = Transpose<perm: ints = @order>(p)  r = Transpose<perm = [0, 1]>(q)  s = Relu(r) }"""
    )
    fixed, report = surgery.fix_model(model, guard=False)
    assert not [check.message for check in report.checks if "could not look" in check.message]
    assert [node.op_type for node in fixed.functions[0].node] == ["Transpose", "Relu"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3) - 3
    for one, other in zip(run(model, {"x": x}), run(fixed, {"x": x}), strict=True):
        assert np.array_equal(one, other)
