"""SG203: softmax decomposed into smaller operators."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from surgery.passes.speed.decomposed_softmax import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import equal_values, left_alone

CODE = "SG203"
PATTERNS = {
    "with the largest taken off": """g (float[3,3] x) => (float[3,3] y) <int64[1] ax = {-1}> {
          m = ReduceMax(x, ax)
          d = Sub(x, m)
          e = Exp(d)
          s = ReduceSum(e, ax)
          y = Div(e, s)
        }""",
    "plain, over the first axis": """g (float[2,3] x) => (float[2,3] y) <int64[1] ax = {0}> {
          e = Exp(x)
          s = ReduceSum(e, ax)
          y = Div(e, s)
        }""",
    "of the logarithm": "g (float[2,3] x) => (float[2,3] y) { l = LogSoftmax<axis = 0>(x)  y = Exp(l) }",
}

PARTS = "m = ReduceMax<axes=[{axis}]>(x)  d = Sub(x, m)  e = Exp(d)  z = ReduceSum(e, a)  y = Div(e, z)"


def model(body: str, axis: int = -1, opset: int = 17, more: str = "") -> onnx.ModelProto:
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2,3,4] x) => (float[2,3,4] y{more}) '
        f"<int64[1] a = {{{axis}}}> {{ {body} }}"
    )


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    "source",
    [
        model(PARTS.format(axis=-1)),
        model(PARTS.format(axis=1), axis=1),
        model("e = Exp(x)  z = ReduceSum(e, a)  y = Div(e, z)"),
        model("l = LogSoftmax<axis=-1>(x)  y = Exp(l)"),
    ],
)
def test_becomes_softmax_with_the_same_values(source: onnx.ModelProto) -> None:
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["Softmax"]
    equal_values(source, result, rtol=1e-5)
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model(PARTS.format(axis=-1), more=", float[2,3,1] z"), "the sum is an output"),
        (model("e = Exp(x)  z = ReduceSum(e)  y = Div(e, z)"), "the sum runs over all axes"),
        (model("e = Exp(x)  f = Abs(x)  z = ReduceSum(f, a)  y = Div(e, z)"), "the sum is of something else"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why


def test_one_dim_is_left_alone_since_tensorrt_refuses_its_softmax() -> None:
    left_alone(
        "g (float[3] x) => (float[3] y) <int64[1] a = {0}> { e = Exp(x)  s = ReduceSum(e, a)  y = Div(e, s) }",
        18,
        "SG203",
    )
    left_alone("g (float[3] x) => (float[3] y) { l = LogSoftmax(x)  y = Exp(l) }", 18, "SG203")
