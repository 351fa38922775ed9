"""SG206: GELU decomposed into smaller operators around Erf."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from surgery.passes.speed.decomposed_gelu import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import equal_values, left_alone

CODE = "SG206"
PATTERNS = {
    "half last": """g (float[2,3] x) => (float[2,3] y)
        <float r = {1.4142135}, float i = {0.70710677}, float one = {1}, float half = {0.5}> {
          d = Div(x, r)
          e = Erf(d)
          p = Add(e, one)
          m = Mul(x, p)
          y = Mul(m, half)
        }""",
    "half first": """g (float[2,3] x) => (float[2,3] y)
        <float r = {1.4142135}, float i = {0.70710677}, float one = {1}, float half = {0.5}> {
          d = Mul(x, i)
          e = Erf(d)
          p = Add(e, one)
          m = Mul(p, half)
          y = Mul(x, m)
        }""",
    "half of the input": """g (float[2,3] x) => (float[2,3] y)
        <float r = {1.4142135}, float i = {0.70710677}, float one = {1}, float half = {0.5}> {
          d = Mul(i, x)
          e = Erf(d)
          p = Add(one, e)
          h = Mul(x, half)
          y = Mul(h, p)
        }""",
}

INNER = "d = Div(x, root)  e = Erf(d)  p = Add(e, one)  "


def model(body: str, opset: int = 20, more: str = "", half: str = "5") -> onnx.ModelProto:
    made = parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : {opset}]> g (float[2,3] x) => (float[2,3] y{more}) {{ {body} }}'
    )
    numbers = {"root": 2**0.5, "inverse": 0.5**0.5, "one": 1.0, "half": float(half) / 10}
    for name, value in numbers.items():
        made.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value]))
    return made


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    "source",
    [
        model(INNER + "m = Mul(x, p)  y = Mul(m, half)"),
        model(INNER + "m = Mul(p, half)  y = Mul(x, m)"),
        model(INNER + "h = Mul(x, half)  y = Mul(h, p)"),
        model("d = Mul(x, inverse)  e = Erf(d)  p = Add(one, e)  m = Mul(x, p)  y = Mul(half, m)"),
    ],
)
def test_becomes_one_operator_with_the_same_values(source: onnx.ModelProto) -> None:
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["Gelu"]
    equal_values(source, result, rtol=1e-5, atol=1e-6)
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (model(INNER + "m = Mul(x, p)  y = Mul(m, half)", opset=19), "Gelu came with opset 20"),
        (model(INNER + "m = Mul(x, p)  y = Mul(m, half)", more=", float[2,3] e"), "the Erf is an output"),
        (model(INNER + "m = Mul(x, p)  y = Mul(m, half)", half="4"), "the factor is not one half"),
        (model(INNER + "y = Mul(x, p)"), "the half is missing"),
    ],
)
def test_left_alone(source: onnx.ModelProto, why: str) -> None:
    assert fixed(source) is source, why


@pytest.mark.parametrize("constant", ["h", "one", "q"])
def test_a_constant_of_more_dims_than_the_data_raises_the_rank(constant: str) -> None:
    held = "float h = {0.5}, float one = {1}, float q = {1.4142135}".replace(
        f"float {constant} ", f"float[1,1,1] {constant} "
    )
    text = f"""g (float[2] x) => (float[a,b,c] y) <{held}>
    {{ d = Div(x, q)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  y = Mul(m, h) }}"""
    left_alone(text, 20, "SG206")
