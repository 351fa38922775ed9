"""SG003: Initializers that nothing reads."""

from __future__ import annotations

import onnx
import pytest

import surgery
from tests.surgery.passes.comparing import Case, parse, stays

CODE = "SG003"
LEFT_ALONE = [
    Case(
        "a subgraph reads it",
        """g (float[2] x, bool c) => (float[2] y) <float[2] w = {1, 2}> {
      y = If(c)<then_branch = t () => (float[2] a) { a = Add(x, w) }, else_branch = e () => (float[2] b) { b = Neg(x) }>
    }""",
    ),
    Case(
        "it is an output of the graph",
        """g (float[2] x) => (float[2] y, float[2] w) <float[2] w = {1, 2}> {
      y = Neg(x)
    }""",
    ),
    Case("it is the default of an input", "g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Neg(x) }"),
]


def fixed(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """Names of the initializers that are left, and what the pass says."""
    result, report = surgery.fix_model(model, select=(CODE,))
    return [tensor.name for tensor in result.graph.initializer], [finding.message for finding in report.findings]


@pytest.mark.parametrize(
    ("unread", "message"),
    [
        (["old"], "nothing reads initializer 'old'"),
        (["old", "older", "oldest"], "nothing reads initializer 'old', 'older', 'oldest'"),
        (["a", "b", "c", "d"], "nothing reads initializer 'a', 'b', 'c', ..."),
    ],
)
def test_unread_initializers_go(unread: list[str], message: str) -> None:
    held = ", ".join(["float[2] w = {1, 2}", *(f"uint16[1] {name} = {{7}}" for name in unread)])
    assert fixed(parse(f"g (float[2] x) => (float[2] y) <{held}> {{ y = Add(x, w) }}", 17)) == (["w"], [message])


def test_unread_initializers_of_a_subgraph_go() -> None:
    text = """g (float[2] x, bool c) => (float[2] y) {
      y = If(c)<
        then_branch = t () => (float[2] a) <float[2] w = {1, 2}, uint16[1] old = {7}> { a = Add(x, w) },
        else_branch = e () => (float[2] b) { b = Neg(x) }>
    }"""
    result, _ = surgery.fix_model(parse(text, 17), select=(CODE,))
    (branch,) = (each.g for each in result.graph.node[0].attribute if each.name == "then_branch")
    assert [tensor.name for tensor in branch.initializer] == ["w"]


def test_what_quantization_annotations_name_stays() -> None:
    model = parse("g (float[2] x) => (float[2] y) <float scale = {0.5}, float old = {1}> { y = Neg(x) }", 17)
    note = model.graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    assert fixed(model)[0] == ["scale"]


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
