"""Sizes that a model demands by Reshapes to constant sizes, as an export traced at one size has them."""

from __future__ import annotations

from onnx import parser

import surgery
from surgery.guard.fixed_sizes import fixed_sizes

TRACED = """<ir_version: 8, opset_import: ["" : 17]>
a (float[objects,points,2] x) => (float[6,10] y) <float[1,4,2] tokens = {0,1,2,3,4,5,6,7}, int64[2] sizes = {6,10}> {
    s = Shape(x)  zero = Constant<value_ints = [0]>()  one = Constant<value_ints = [1]>()
    n = Slice(s, zero, one)  rest = Constant<value_ints = [4, 2]>()  all = Concat<axis = 0>(n, rest)
    t = Expand(tokens, all)  joined = Concat<axis = 1>(x, t)  f = Reshape(joined, sizes)  y = Sigmoid(f) }"""


def test_sizes_are_found_from_how_the_count_of_elements_grows() -> None:
    model = parser.parse_model(TRACED)
    for sizes in fixed_sizes(model):  # sizes * (points + 4) * 2 is 60
        assert sizes["objects"] * (sizes["points"] + 4) * 2 == 60
    assert {"objects": 3, "points": 6} in list(fixed_sizes(model))


def test_a_traced_model_is_compared_and_lowered_without_inputs() -> None:
    model = parser.parse_model(TRACED)
    _, report = surgery.fix_model(model, precision="fp16", max_error=0.05)
    checks = {check.name: check for check in report.checks}
    assert checks["parity"].status == "pass"
    assert checks["precision"].status == "pass"


def test_models_that_demand_nothing_have_no_fixed_sizes() -> None:
    free = TRACED.replace("{6,10}", "{-1,2}")
    fixed = TRACED.replace("objects,points,2", "3,6,2")
    impossible = TRACED.replace("{6,10}", "{7,11}")
    for text in (free, fixed, impossible):
        assert not list(fixed_sizes(parser.parse_model(text)))


def test_sizes_of_two_constant_reshapes_are_solved_one_key_after_the_other() -> None:
    model = parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
    a (float[a,3] x, float[b,5] w) => (float[12,1] y, float[5,7] z) <int64[2] one = {12,1}, int64[2] two = {5,7}> {
        y = Reshape(x, one)  z = Reshape(w, two) }""")
    assert next(fixed_sizes(model)) == {"a": 4, "b": 7}
