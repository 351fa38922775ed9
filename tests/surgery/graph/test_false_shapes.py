"""Declared shapes that are wrong, which shows once a pass has computed the shapes in front of them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from surgery import fix_model
from verify.model.walk import dims_of

# Inference does not follow the Compress, so that even the rank of r is open until it is folded.
BODY = "a = Constant<value_ints = [3, 2, 9]>() s = Compress<axis = 0>(a, mask) r = Reshape(x, s)"
SUM = "y = ReduceSum<keepdims = 0>(r)"


def declaring(shape: str, body: str, outputs: str = "float[] y") -> onnx.ModelProto:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x) => ({outputs}) {{ {body} }}'
    model = parser.parse_model(text)
    model.graph.output[0].type.tensor_type.shape.SetInParent()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([True, True, False]), "mask"))
    model.graph.value_info.add().CopyFrom(onnx.parser.parse_graph(f"g (float{shape} r) => (float[] z) {{ }}").input[0])
    return model


def strict(model: onnx.ModelProto) -> None:
    onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("shape", ["[1,3,2]", "[6]", "[3,5]"])
@pytest.mark.parametrize("target", ["tensorrt-rtx", "onnxruntime"])
def test_a_wrong_shape_of_an_inner_tensor_is_dropped(shape: str, target: str) -> None:
    model = declaring(shape, f"{BODY} {SUM}")
    strict(model)
    fixed, report = fix_model(model, target=target)
    assert "Compress" not in {node.op_type for node in fixed.graph.node}
    strict(fixed)
    assert [check.name for check in report.checks if check.status != "pass"] == []
    declared = {value.name: dims_of(value.type.tensor_type) for value in fixed.graph.value_info}
    assert declared.get("r") in (None, [3, 2])
    again, _ = fix_model(fixed, target=target)
    assert again is fixed


def test_a_right_shape_of_an_inner_tensor_stays() -> None:
    fixed, _ = fix_model(declaring("[3,q]", f"{BODY} {SUM}"))
    assert [dims_of(value.type.tensor_type) for value in fixed.graph.value_info if value.name == "r"] == [[3, "q"]]


def test_a_wrong_shape_of_a_branch_is_dropped() -> None:
    first = "then_branch = g1 () => (float[3,3,1] u) { u = Relu(r) }"
    branches = f"{first}, else_branch = g2 () => (float[3,3,1] v) {{ v = Neg(r) }}"
    choice = "k = ReduceSum<keepdims = 0>(x) zero = Constant<value_float = 0.0>() c = Greater(k, zero)"
    model = declaring("[3,3,1]", f"{BODY} {choice} r2 = If(c) <{branches}> y = ReduceSum<keepdims = 0>(r2)")
    strict(model)
    fixed, report = fix_model(model)
    assert "Compress" not in {node.op_type for node in fixed.graph.node}
    strict(fixed)
    assert [check.status for check in report.checks if check.name == "onnx.checker"] == ["pass"]


@pytest.mark.parametrize("shape", ["[5,2]", "[3,2,1]"])
def test_a_wrong_shape_of_an_output_stays_and_is_said(shape: str) -> None:
    model = declaring(shape, f"{BODY} y = Relu(r)", f"float{shape} y")
    strict(model)
    fixed, report = fix_model(model)
    assert "Compress" not in {node.op_type for node in fixed.graph.node}
    assert fixed.graph.output == model.graph.output
    (valid,) = [check for check in report.checks if check.name == "onnx.checker"]
    assert valid.status == "skip"
    assert "the declared shape of an output, which stays, is not what ONNX infers" in valid.message
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(ReferenceEvaluator(fixed).run(None, {"x": x})[0], x.reshape(3, 2))
