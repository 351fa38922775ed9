"""SG012: an If whose condition is the same at every run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from surgery.passes.cleanup.constants.constant_if import PASS
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG012"
PATTERNS = {
    "a branch of its own": """g (float[3] x) => (float[3] y) <bool c = {1}, bool d = {0}> {
          y = If<
            then_branch = t () => (float[3] a) { a = Relu(x) },
            else_branch = e () => (float[3] b) { b = Neg(x) }>(c)
        }""",
}
REWRITES = [
    Case(
        "a constant condition, and names inside that are names outside",
        """g (float[2] x) => (float[2] y) <bool c = {1}> {
          b = Neg(x)
          y0 = If<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] b1) { b1 = Abs(b) }>(c)
          y = Add(y0, b)
        }""",
        after="g (float[2] x) => (float[2] y) { b = Neg(x)  a = Relu(x)  y0 = Identity(a)  y = Add(y0, b) }",
    ),
]
LEFT_ALONE = [
    Case(
        "the condition is computed",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] b) { b = Abs(x) }>(c)
        }""",
    ),
]


THEN = "then_branch = t () => (float[2] a) { k = Relu(x)  a = Neg(k) }"
ELSE = "else_branch = e () => (float[2] b) { b = Abs(x) }"
PORTS = "(float[2] x) => (float[2] y)"


def model(body: str, held: str = "", ports: str = PORTS, opset: int = 17) -> onnx.ModelProto:
    constants = f"<{held}>" if held else ""
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {ports} {constants} {{ {body} }}')


def run(source: onnx.ModelProto) -> Outcome:
    return apply_passes(source, "", [PASS], Options())


def same_values(source: onnx.ModelProto, result: onnx.ModelProto) -> None:
    x = np.array([-1.0, 2.0], np.float32)
    before, after = (ReferenceEvaluator(each).run(None, {"x": x}) for each in (source, result))
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("condition", "taken", "operators"),
    [
        ("bool c = {1}", "then", ["Relu", "Neg", "Identity"]),
        ("bool c = {0}", "else", ["Abs", "Identity"]),
        ("bool[1] c = {1}", "then", ["Relu", "Neg", "Identity"]),
        ("bool[1,1] c = {0}", "else", ["Abs", "Identity"]),
    ],
)
def test_the_branch_that_is_taken_stands_in_its_place(condition: str, taken: str, operators: list[str]) -> None:
    source = model(f"[choice] y = If(c) <{THEN}, {ELSE}>", condition)
    outcome = run(source)
    assert [finding.message for finding in outcome.applied] == [f"always takes its {taken} branch"]
    assert [finding.node for finding in outcome.applied] == ["choice"]
    assert [node.op_type for node in outcome.model.graph.node] == operators
    assert outcome.model.graph.node[-1].name == "choice/y"
    same_values(source, outcome.model)


def test_condition_that_follows_from_shapes() -> None:
    body = f"n = Shape(x)  s = Size(x)  two = Constant<value_int = 2>()  c = Equal(s, two)  y = If(c) <{THEN}, {ELSE}>"
    source = model(body)
    result = run(source).model
    assert "If" not in [node.op_type for node in result.graph.node]
    assert "Relu" in [node.op_type for node in result.graph.node]
    same_values(source, result)


@pytest.mark.parametrize(
    ("body", "held", "ports"),
    [
        (f"y = If(c) <{THEN}, {ELSE}>", "", "(float[2] x, bool c) => (float[2] y)"),
        (f"y = If(c) <{THEN}, {ELSE}>", "bool[2] c = {1, 1}", PORTS),
        (f"y = If(c) <{THEN}, {ELSE}>", "bool[0] c = {}", PORTS),
        (f"s = Size(x)  two = Constant<value_int = 2>()  c = Equal(s, two)  y = If(c) <{THEN}, {ELSE}>", "",
         "(float[N] x) => (float[N] y)"),
        (f"y = If(c) <{THEN}>", "bool c = {1}", PORTS),
    ],
)  # fmt: skip
def test_left_alone(body: str, held: str, ports: str) -> None:
    source = model(body, held, ports)
    outcome = run(source)
    assert outcome.model is source
    assert outcome.context.troubles == []


def test_branch_with_another_number_of_results_is_left_alone() -> None:
    two = "then_branch = t () => (float[2] a, float[2] k) { k = Relu(x)  a = Neg(k) }"
    source = model(f"y = If(c) <{two}, {ELSE}>", "bool c = {1}")
    assert run(source).model is source
    other = model(f"y = If(c) <{two}, {ELSE}>", "bool c = {0}")
    assert [node.op_type for node in run(other).model.graph.node] == ["Abs", "Identity"]


def test_one_that_is_left_alone_does_not_hide_the_next() -> None:
    two = "then_branch = t () => (float[2] a, float[2] k) { k = Relu(x)  a = Neg(k) }"
    ports = "(float[2] x, bool r) => (float[2] y)"
    body = f"p = If(r) <{THEN}, {ELSE}>  q = If(c) <{two}, {ELSE}>  z = If(c) <{THEN}, {ELSE}>"
    body += "  o = Add(p, q)  y = Add(o, z)"
    operators = [node.op_type for node in run(model(body, "bool c = {1}", ports)).model.graph.node]
    assert operators.count("If") == 2
    assert "Relu" in operators


def test_results_keep_their_order_and_those_left_out_stay_out() -> None:
    both = (
        "then_branch = t () => (float[2] a, float[2] k, float[2] m) { k = Relu(x)  a = Neg(k)  m = Exp(x) }, "
        "else_branch = e () => (float[2] b, float[2] d, float[2] f) { b = Abs(x) d = Abs(b) f = Abs(d) }"
    )
    ports = "(float[2] x) => (float[2] y, float[2] z)"
    source = model(f"y, , z = If(c) <{both}>", "bool c = {1}", ports)
    result = run(source).model
    assert [node.output[0] for node in result.graph.node if node.op_type == "Identity"] == ["y", "z"]
    same_values(source, result)


def test_weights_of_the_branch_come_with_it() -> None:
    branch = "then_branch = t () => (float[2] a) <float[2] w = {5, 7}, float[1] unread = {9}> { a = Mul(x, w) }"
    source = model(f"y = If(c) <{branch}, {ELSE}>", "bool c = {1}")
    result = run(source).model
    assert {"w", "unread"} <= {tensor.name for tensor in result.graph.initializer}
    assert [node.op_type for node in result.graph.node] == ["Mul", "Identity"]
    same_values(source, result)


def test_if_inside_an_if() -> None:
    inner = f"then_branch = o () => (float[2] r) {{ r = If(c) <{THEN}, {ELSE}> }}"
    source = model(f"y = If(c) <{inner}, else_branch = p () => (float[2] q) {{ q = Exp(x) }}>", "bool c = {1}")
    result = run(source).model
    assert [node.op_type for node in result.graph.node] == ["Relu", "Neg", "Identity", "Identity"]
    same_values(source, result)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
