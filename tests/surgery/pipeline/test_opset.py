"""Raising the opset: converted before 7, restamped where nothing changes, left alone otherwise."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.pipeline.opset import default_opset, lift, restamped
from surgery.targets import load_target
from verify.model.walk import operators

TARGET = load_target("tensorrt-rtx")


def parse(text: str, opset: int, ir_version: int = 8) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>\n{text}')


def test_broadcasting_of_opset_6_is_kept() -> None:
    model = parse("g (float[2,3] a, float[2] b) => (float[2,3] c) { c = Add<broadcast = 1, axis = 0>(a, b) }", 6, 3)
    raised, note = lift(model, TARGET)
    assert note == "converted from opset 6 to 17"
    a, b = np.ones((2, 3), np.float32), np.array([1, 2], np.float32)
    session = onnxruntime.InferenceSession(raised.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"a": a, "b": b})[0], a + b[:, None])


def test_the_slope_of_prelu_stays_on_its_axis() -> None:
    text = "g (float[1,2,3] x, float[2] s) => (float[1,2,3] y) <float[2] s = {0.5, 2}> { y = PRelu(x, s) }"
    raised, note = lift(parse(text, 6, 3), TARGET)
    assert note
    x = -np.ones((1, 2, 3), np.float32)
    got = ReferenceEvaluator(raised).run(None, {"x": x})[0]
    np.testing.assert_array_equal(got, x * np.array([0.5, 2], np.float32)[None, :, None])


def test_prelu_whose_slope_is_not_known_is_left() -> None:
    model = parse("g (float[1,2,3] x, float[2] s) => (float[1,2,3] y) { y = PRelu(x, s) }", 6, 3)
    raised, note = lift(model, TARGET)
    assert raised is model
    assert "could not be converted" in note


@pytest.mark.parametrize(("opset", "version"), [(10, 13), (13, 13), (17, 17)])
def test_models_with_refused_operators_are_restamped(opset: int, version: int) -> None:
    text = "g (uint8[2,4] a, uint8[4,3] b) => (int32[2,3] y) { y = MatMulInteger(a, b) }"
    assert default_opset(lift(parse(text, opset), TARGET)[0]) == version


def test_a_model_with_changed_operators_keeps_its_opset() -> None:
    for changed in ("Softmax(f)", "OneHot(a, two, two)"):  # flattened before 13; no negative places before 11
        nodes = f"m = MatMulInteger(a, b) f = Cast<to = 1>(m) y = {changed}"
        text = f"g (uint8[2,4] a, uint8[4,3] b, float[2] two) => (float[2,3] y) {{ {nodes} }}"
        model = parse(text, 10)
        assert restamped(model, operators(model.graph), 13) is None
        assert lift(model, TARGET) == (model, "")


def test_operators_that_only_took_more_in_later_are_read_as_later() -> None:
    nodes = "m = MatMulInteger(a, b) f = Cast<to = 1>(m) q = QuantizeLinear(f, s, z) y = DequantizeLinear(q, s, z)"
    text = f"g (uint8[2,4] a, uint8[4,3] b, float s, uint8 z) => (float[2,3] y) {{ {nodes} }}"
    model = parse(text, 10)
    raised = restamped(model, operators(model.graph), 13)
    assert raised is not None
    assert [entry.version for entry in raised.opset_import] == [13]
    assert [node.op_type for node in raised.graph.node] == [node.op_type for node in model.graph.node]


def test_a_model_the_target_takes_is_left_as_it_is() -> None:
    model = parse("g (float[2] x) => (float[2] y) { y = Relu(x) }", 9)
    assert lift(model, TARGET)[0] is model
    assert default_opset(surgery.fix_model(model)[0]) == 9


def test_models_without_the_default_domain_are_left() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["x" : 1]> g (float[2] a) => (float[2] b) { b = x.F(a) }'
    )
    assert lift(model, TARGET) == (model, "")


def test_onnxruntime_reads_a_pooling_of_an_earlier_opset() -> None:
    model = parse(
        "g (float[1,1,4,4] x) => (float[1,1,2,2] y) { y = MaxPool<kernel_shape = [2,2], strides = [2,2]>(x) }", 11
    )
    assert default_opset(lift(model, load_target("onnxruntime"))[0]) == 11
    assert default_opset(lift(model, load_target("tensorrt-rtx"))[0]) == 13


def test_what_a_second_fix_would_restamp_the_first_restamps() -> None:
    """At opset 10 Compress has no inference; the Unsqueeze, which later opsets write otherwise, is read by nothing."""
    model = parse(
        """g (float[n] x) => (int8[m] y) <bool[2] c = {0, 1}, float k = {0.1}, int8 z = {0}, int64[1] f = {-1}> {
          p = Compress<axis = 0>(x, c) q = QuantizeLinear(p, k, z) y = Reshape(q, f) u = Unsqueeze<axes = [0]>(f) }""",
        10,
    )
    fixed, _ = surgery.fix_model(model, guard=False)
    assert [node.op_type for node in fixed.graph.node] == ["Compress", "QuantizeLinear"]
    assert default_opset(fixed) == 13
    assert surgery.fix_model(fixed, guard=False)[0] is fixed


def test_an_opset_that_helps_nothing_stays() -> None:
    text = """g (uint8[2,4] a, int8[4,3] b) => (int32[2,3] y) <int64[1] f = {-1}> {
      y = MatMulInteger(a, b) u = Unsqueeze<axes = [0]>(f) }"""
    fixed, _ = surgery.fix_model(parse(text, 10), guard=False, ignore=("SG16",))
    assert [node.op_type for node in fixed.graph.node] == ["MatMulInteger"]
    assert default_opset(fixed) == 10
