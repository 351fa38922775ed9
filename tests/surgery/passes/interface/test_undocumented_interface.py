"""SG301: Inputs and outputs whose names, order or dims differ from the spec."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest

import surgery
from tests.surgery.passes.comparing import parse
from verify.interface.spec import Port, Spec

CODE = "SG301"
SPEC = Spec(
    module="toy",
    title="Toy",
    file="toy.onnx",
    inputs=(Port("left", "float32", ("batch", 2)), Port("right", "int64", ("batch", 2))),
    outputs=(Port("sum", "float32", ("batch", 2)), Port("twice", "int64", ("batch", 2))),
    ranges={"batch": (1, 1, 4)},
    relations={},
)


def model(inputs: str, outputs: str, left: str = "left", right: str = "right", total: str = "sum") -> onnx.ModelProto:
    """`total` is left + right, and `twice` two times right."""
    body = f"f = Cast<to = 1>({right})  {total} = Add({left}, f)  twice = Add({right}, {right})"
    return parse(f"g ({inputs}) => ({outputs}) {{ {body} }}", 17)


def fixed(source: onnx.ModelProto, spec: Spec = SPEC) -> tuple[list[str], list[str]]:
    """Inputs and outputs after the pass, and what it says."""
    result, report = surgery.fix_model(source, spec=spec, select=(CODE,))
    assert next(check for check in report.checks if check.name == "parity").status == "pass" or result is source
    ports = [onnx.helper.printable_value_info(value) for value in (*result.graph.input, *result.graph.output)]
    return ports, [finding.message for finding in report.findings]


RIGHT = ["%left[FLOAT, batchx2]", "%right[INT64, batchx2]", "%sum[FLOAT, batchx2]", "%twice[INT64, batchx2]"]


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        (
            model("float[batch,2] a, int64[batch,2] right", "float[batch,2] o, int64[batch,2] twice", "a", total="o"),
            ["input 'a' is called 'left' in the spec", "output 'o' is called 'sum' in the spec"],
        ),
        (
            model("int64[batch,2] right, float[batch,2] left", "float[batch,2] sum, int64[batch,2] twice"),
            ["inputs or outputs are not in the order of the spec"],
        ),
        (
            model("float[batch,2] left, int64[batch,2] right", "int64[batch,2] twice, float[batch,2] sum"),
            ["inputs or outputs are not in the order of the spec"],
        ),
        (
            model("float[n,m] left, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice"),
            ["the spec gives 'left' the dims ['batch', 2]"],
        ),
    ],
    ids=["names", "order of inputs", "order of outputs", "dims"],
)
def test_becomes_what_the_spec_says(source: onnx.ModelProto, messages: list[str]) -> None:
    assert fixed(source) == (RIGHT, messages)


def test_a_number_stays_where_the_spec_has_a_symbol() -> None:
    ports, messages = fixed(model("float[3,2] left, int64[3,2] right", "float[3,2] sum, int64[3,2] twice"))
    assert ports == ["%left[FLOAT, 3x2]", "%right[INT64, 3x2]", "%sum[FLOAT, 3x2]", "%twice[INT64, 3x2]"]
    assert messages == []


def test_undeclared_dims_of_an_output_become_those_of_the_spec() -> None:
    source = model("float[batch,2] left, int64[batch,2] right", "float[] sum, int64[batch,2] twice")
    source.graph.output[0].type.tensor_type.ClearField("shape")
    assert fixed(source)[0] == RIGHT


@pytest.mark.parametrize(
    ("source", "spec"),
    [
        (model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum", "a"), SPEC),
        (
            model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice", "a"),
            replace(SPEC, inputs=SPEC.inputs[1:]),
        ),
        (
            model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice", "a"),
            replace(SPEC, inputs=(Port("left", "float16", ("batch", 2)), SPEC.inputs[1])),
        ),
        (
            model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice", "a"),
            replace(SPEC, inputs=(Port("left", "float32", ("batch", 2, 1)), SPEC.inputs[1])),
        ),
        (
            model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice", "a"),
            replace(SPEC, inputs=(Port("left", "float32", ("batch", 3)), SPEC.inputs[1])),
        ),
    ],
    ids=["an output fewer", "an input more", "another type", "another rank", "another number"],
)
def test_leaves_alone(source: onnx.ModelProto, spec: Spec) -> None:
    assert fixed(source, spec)[1] == []


def test_a_number_that_contradicts_the_spec_stays() -> None:
    source = model("float[batch,2] left, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice")
    ports, messages = fixed(source, replace(SPEC, outputs=(Port("sum", "float32", (7, 3)), SPEC.outputs[1])))
    assert ports == RIGHT
    assert messages == []


def test_nothing_happens_without_a_spec() -> None:
    source = model("float[batch,2] a, int64[batch,2] right", "float[batch,2] sum, int64[batch,2] twice", "a")
    assert surgery.fix_model(source, select=(CODE,))[0] is source
