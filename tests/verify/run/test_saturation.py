"""Eight-bit products give what ONNX defines, also where onnxruntime would sum them in 16 bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
from verify.run.saturation import may_saturate, without_saturation
from verify.run.session import open_session

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
PRODUCTS = {
    "MatMulInteger": "g (uint8[2, 4] a, int8[4, 3] b) => (int32[2, 3] y) { y = MatMulInteger(a, b) }",
    "zero points": """g (uint8[2, 4] a, int8[4, 3] b) => (int32[2, 3] y) <uint8 za = {3}, int8[3] zb = {-5, 0, 7}> {
      y = MatMulInteger(a, b, za, zb) }""",
    "QLinearMatMul": """g (uint8[2, 4] a, int8[4, 3] b) => (uint8[2, 3] y)
      <float s = {0.01}, uint8 za = {3}, int8 zb = {-5}, float sy = {0.1}, uint8 zy = {9}> {
      y = QLinearMatMul(a, s, za, b, s, zb, sy, zy) }""",
    "QLinearConv": """g (uint8[1, 4, 3, 3] a, int8[2, 4, 2, 2] b) => (uint8[1, 2, 4, 4] y)
      <float s = {0.01}, uint8 za = {3}, float[2] sb = {0.01, 0.02}, int8[2] zb = {0, 0}, float sy = {0.1}, uint8 zy =
      {9}> { y = QLinearConv<pads = [1, 1, 1, 1]>(a, s, za, b, sb, zb, sy, zy) }""",
    "ConvInteger": "g (int8[1, 4, 3, 3] a, uint8[2, 4, 2, 2] b) => (int32[1, 2, 4, 4] y) {"
    " y = ConvInteger<pads = [1, 1, 1, 1]>(a, b) }",
}


def largest(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Inputs with values near the end of their type."""
    generator = np.random.default_rng(0)
    feeds = {}
    for value in model.graph.input:
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        most = np.iinfo(kind).max
        feeds[value.name] = generator.integers(most - 20, most, shape).astype(kind)
    return feeds


@pytest.mark.parametrize("text", PRODUCTS.values(), ids=PRODUCTS)
def test_products_are_what_onnx_defines(text: str) -> None:
    model = onnx.parser.parse_model(HEAD + text)
    assert may_saturate(model)
    feeds = largest(model)
    wanted = open_session(model, backend="reference").run(feeds).outputs["y"]
    run = open_session(without_saturation(model), backend="onnxruntime").run(feeds)
    assert run.error == ""
    np.testing.assert_array_equal(run.outputs["y"], wanted)


def test_products_inside_a_branch_are_changed_too() -> None:
    text = """g (bool c, uint8[2, 4] a, int8[4, 3] b) => (int32[2, 3] y) { y = If(c) <
      then_branch = then () => (int32[2, 3] p) { p = MatMulInteger(a, b) },
      else_branch = other () => (int32[2, 3] q) { q = MatMulInteger(a, b) }> }"""
    model = onnx.parser.parse_model(HEAD + text)
    assert may_saturate(model)
    assert not may_saturate(without_saturation(model))


@pytest.mark.parametrize("kinds", [("uint8", "uint8"), ("int8", "int8"), ("int8", "uint8")])
def test_other_products_stay(kinds: tuple[str, str]) -> None:
    text = f"g ({kinds[0]}[2, 4] a, {kinds[1]}[4, 3] b) => (int32[2, 3] y) {{ y = MatMulInteger(a, b) }}"
    assert not may_saturate(onnx.parser.parse_model(HEAD + text))


@pytest.mark.parametrize(
    "call",
    [
        "com.microsoft.QLinearConv<channels_last = 1>(a, s, z, b, s, w, t, z)",
        "com.microsoft.QAttention<num_heads = 1>(e, q, c, s, s, , z, w)",
    ],
)
def test_products_of_onnxruntime_do_not_depend_on_the_processor(call: str) -> None:
    made = "float" if "QAttention" in call else "uint8"
    text = f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
      g (uint8[1, 3, 3, 4] a, int8[2, 4, 1, 1] b, uint8[2, 3, 4] e, int8[4, 12] q) => ({made} y)
      <float s = {{0.01}}, uint8 z = {{3}}, int8 w = {{0}}, float t = {{0.3}}, float[12] c =
      {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}> {{ y = {call} }}"""
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert may_saturate(model)
    feeds = largest(model)
    changed = without_saturation(model)
    run = open_session(changed, backend="onnxruntime").run(feeds)
    fixed, _ = surgery.fix_model(model, guard=False)
    plain = open_session(fixed, backend="onnxruntime").run(feeds)
    assert (run.error, plain.error) == ("", "")
    np.testing.assert_allclose(run.outputs["y"], plain.outputs["y"], rtol=1e-5)


def test_types_behind_operators_of_onnxruntime_are_those_of_the_zero_points() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
      g (uint8[2, 4] a, int8[4, 3] b) => (uint8[2, 3] y) <float s = {0.01}, uint8 za = {3}, int8 zb = {0}> {
      c = com.microsoft.QLinearSigmoid(a, s, za, s, za) y = QLinearMatMul(c, s, za, b, s, zb, s, za) }"""
    model = onnx.parser.parse_model(text)
    assert may_saturate(model)
    assert not may_saturate(without_saturation(model))
