"""Constant Ifs and Loops inside each other, and nodes that lack inputs."""

from __future__ import annotations

import onnx
import pytest

import surgery

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) '


def fixed(text: str) -> tuple[list[str], list[str]]:
    """Operators of the main graph afterwards, and what any pass had trouble with."""
    model, report = surgery.fix_model(onnx.parser.parse_model(HEAD + text))
    assert next(check.status for check in report.checks if check.name == "parity") == "pass"
    return [node.op_type for node in model.graph.node], [c.message for c in report.checks if c.name == "pass"]


@pytest.mark.parametrize("inner", ["c", "no"])
def test_ifs_inside_both_branches(inner: str) -> None:
    text = (
        f"<bool c = {{1}}, bool no = {{0}}> {{ y = If (c) <then_branch = a () => (float[2] p) {{ p = If ({inner})"
        " <then_branch = b () => (float[2] q) { q = Relu(x) }, else_branch = d () => (float[2] s) { s = Neg(x) }> },"
        " else_branch = e () => (float[2] r) { r = If (c) <then_branch = f () => (float[2] t) { t = Abs(x) },"
        " else_branch = h () => (float[2] u) { u = Exp(x) }> }> }"
    )
    assert fixed(text) == (["Relu" if inner == "c" else "Neg"], [])


def test_loops_inside_each_other() -> None:
    text = (
        "<bool c = {1}, int64 n = {2}> { y = Loop(n, c, x) <body = a (int64 i, bool d, float[2] v) =>"
        " (bool e, float[2] w) { e = Identity(d) w = Loop(n, c, v) <body = b (int64 j, bool f, float[2] s) =>"
        " (bool h, float[2] t) { h = Identity(f) t = Exp(s) }> }> }"
    )
    operators, troubles = fixed(text.replace("Exp", "Sin"))
    assert operators == ["Sin"] * 4
    assert troubles == []


@pytest.mark.parametrize(
    "text",
    [
        "{ a = Identity() y = Relu(x) }",
        "{ a = Cast<to = 10>(x) b = Cast<to = 1>() y = Relu(x) }",
        "{ s = Shape(x) a = Expand(x) y = Relu(x) }",
        "<int64[1] z = {0}> { a = Slice(x, z) y = Relu(x) }",
        "{ a = Cast<to = 1>() b = Cast<to = 10>(a) y = Relu(x) }",
        "{ a = Transpose() b = Transpose(a) y = Relu(x) }",
    ],
)
def test_nodes_without_their_inputs_trouble_no_pass(text: str) -> None:
    _, report = surgery.fix_model(onnx.parser.parse_model(HEAD + text))
    assert [check.message for check in report.checks if check.name == "pass"] == []
