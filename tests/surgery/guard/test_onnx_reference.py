"""Where onnxruntime is not right about the original, ONNX's reference evaluator decides; else nothing changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from surgery.guard import reference as guard
from surgery.guard.onnx_reference import settle
from verify.report import Check

ATTENTION = """
<ir_version: 11, opset_import: ["" : 23]>
g (float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v, float[4,6] m) => (float[1,2,4,8] y, float[1,2,4,6] s) {
  y, , , s = Attention<is_causal = 1, qk_matmul_output_mode = 2>(q, k, v, m)
}"""
RELU = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
NEG = RELU.replace("Relu", "Neg")


def test_the_reference_evaluator_decides() -> None:
    fixed, report = surgery.fix_model(onnx.parser.parse_model(ATTENTION))
    check = next(check for check in report.checks if check.name == "parity")
    assert check.status == "pass"
    assert "onnxruntime gives something else than ONNX defines for 's'" in check.message
    assert "onnx.reference" in check.message
    assert "Attention" not in {node.op_type for node in fixed.graph.node}


def compare(reference: guard.Reference, fixed: onnx.ModelProto) -> Check:
    return guard.compare(reference, guard.open_fixed(fixed, reference.backend, False), exact=True)


def found(model: onnx.ModelProto) -> tuple[guard.Reference, Check]:
    reference = guard.reference(model, model)
    return reference, compare(reference, onnx.parser.parse_model(NEG))


def test_a_wrong_model_stays_wrong() -> None:
    model = onnx.parser.parse_model(RELU)
    reference, check = found(model)
    other = onnx.parser.parse_model(NEG)
    after = settle(check, reference, model, model, lambda sets: compare(sets, other))
    assert check.status == "fail"
    assert after is check


@pytest.mark.parametrize("reason", ["passed", "large", "not run"])
def test_not_asked(reason: str) -> None:
    model = onnx.parser.parse_model(RELU)
    reference, check = found(model)
    if reason == "passed":
        check = Check("parity", "pass", "")
    elif reason == "not run":
        check = Check("parity", "fail", "the fixed model does not run", {"tensor": ""})
    else:
        model.graph.node.extend([model.graph.node[0]] * 20)
    assert settle(check, reference, model, model, lambda sets: Check("parity", "pass", "never asked")) is check


LSTM = """
<ir_version: 8, opset_import: ["" : 17]> g (float[16,1,64] x) => (float[16,1,1,128] y) <int64[1] first = {0}> {
  W = Unsqueeze(w, first)  R = Unsqueeze(r, first)  y = LSTM<hidden_size = 128>(x, W, R)
}"""


def test_weights_that_become_constants_may_change_the_order_of_sums() -> None:
    model = onnx.parser.parse_model(LSTM)
    rng = np.random.default_rng(0)
    for name, width in (("w", 64), ("r", 128)):
        weights = rng.normal(size=(512, width)).astype(np.float32) / 2
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    fixed, report = surgery.fix_model(model)
    assert [node.op_type for node in fixed.graph.node] == ["LSTM"]
    assert next(check for check in report.checks if check.name == "parity").status == "pass"


def test_a_small_difference_that_is_no_rounding_stays_wrong() -> None:
    model = onnx.parser.parse_model(RELU)
    scaled = RELU.replace("{ y = Relu(x) }", "<float k = {1.00001}> { a = Relu(x)  y = Mul(a, k) }")
    other = onnx.parser.parse_model(scaled)
    reference = guard.reference(model, model)
    check = compare(reference, other)
    assert 0 < check.figures["error"] < 1e-4
    again = settle(check, reference, model, model, lambda sets: compare(sets, other))
    assert again.status == "fail"
