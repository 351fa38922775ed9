"""What the original gives, and which backend runs it where onnxruntime does not do what ONNX defines."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from surgery.guard.compare import compare, open_fixed
from surgery.guard.reference import run_original
from surgery.guard.traits import threads_for
from verify.report import Check, Report

ATTENTION = """
<ir_version: 11, opset_import: ["" : 23]>
g (float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v, float[4,6] m) => (float[1,2,4,8] y, float[1,2,4,6] s) {
  y, , , s = Attention<is_causal = 1, qk_matmul_output_mode = 2>(q, k, v, m)
}"""
RELU = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu(x) }'


def parity(report: Report) -> Check:
    return next(check for check in report.checks if check.name == "parity")


def test_the_reference_evaluator_runs_what_onnxruntime_gets_wrong() -> None:
    fixed, report = surgery.fix_model(onnx.parser.parse_model(ATTENTION))
    check = parity(report)
    assert check.status == "pass"
    assert "; onnxruntime gives the lowest float where Attention defines minus infinity in its four" in check.message
    assert "Attention" not in {node.op_type for node in fixed.graph.node}


@pytest.mark.parametrize("mode", [0, 1, 3])
def test_onnxruntime_runs_the_other_modes(mode: int) -> None:
    model = onnx.parser.parse_model(ATTENTION.replace("output_mode = 2", f"output_mode = {mode}"))
    assert "(onnxruntime)" in parity(surgery.fix_model(model)[1]).message


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
    assert parity(report).status == "pass"
    assert "allowed 0.0001" in parity(report).message


@pytest.mark.parametrize(("factor", "recurrent", "status"), [(1.00001, False, "fail"), (1.001, True, "fail")])
def test_a_small_difference_that_is_no_rounding_fails(factor: float, recurrent: bool, status: str) -> None:
    text = RELU.replace("{ y = Relu(x) }", "{ a = Relu(x)  y = Neg(a) }")
    if recurrent:
        text = RELU.replace("float[2] x", "float[1,1,2] x").replace("float[2] y", "float[1,1,2] y").replace(
            "{ y = Relu(x) }",
            "<float[1,8,2] w = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}, float[1,8,2] r = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}>"
            " { , h = LSTM<hidden_size = 2>(x, w, r)  y = Neg(h) }",
        )  # fmt: skip
    model, other = onnx.parser.parse_model(text), onnx.parser.parse_model(text)
    node = other.graph.node[-1]
    other.graph.initializer.append(numpy_helper.from_array(np.float32(-factor), "factor"))
    node.op_type = "Mul"
    node.input.append("factor")
    reference = run_original(model, model)
    check = compare(reference, open_fixed(other, reference.backend, False), exact=True)
    assert 0 < check.figures["error"] < 1e-2
    assert check.status == status


def test_unchecked_names_the_way_out() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[n] x) => (float[a, b] y) <int64[2] shape = {977, -1}> { i = Identity(x) y = Reshape(i, shape) }"""
    check = parity(surgery.fix_model(onnx.parser.parse_model(text))[1])
    assert check.status == "skip"
    assert "; give real inputs with --check-inputs FILE.npz, or sizes with --input-shape; only exact" in check.message


def test_a_right_product_of_eight_bits_is_not_refused_where_onnxruntime_saturates() -> None:
    """Of uint8 by int8, which overflows 16 bits on processors without VNNI; the pass writes a product of floats."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (uint8[2, 64] a) => (float[2, 3] y) <uint8 za = {3}> { p = MatMulInteger(a, w, za) y = Cast<to = 1>(p) }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((64, 3), 127, np.int8), "w"))
    fixed, report = surgery.fix_model(model, check_inputs={"a": np.full((2, 64), 255, np.uint8)})
    assert "MatMulInteger" not in {node.op_type for node in fixed.graph.node}
    assert next(check for check in report.checks if check.name == "parity").message.startswith("equal bit for bit")


def test_inputs_that_do_not_fit_are_unchecked_and_the_way_out_is_named() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[n, 4] x) => (float[n, 4] y) { i = Identity(x) y = Neg(i) }'
    )
    _, report = surgery.fix_model(model, check_inputs={"x": np.ones((2, 3), "f")})
    parity = next(check for check in report.checks if check.name == "parity")
    assert parity.status == "skip"
    assert parity.message.startswith("unchecked: the original does not run on the inputs it was given (")
    assert "give real inputs with --check-inputs FILE.npz, or sizes with --input-shape" in parity.message


def test_a_batch_that_threads_would_share_runs_in_one() -> None:
    """Each thread of onnxruntime's DynamicQuantizeLSTM quantizes its share of the batch by the range of that share."""
    head = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> g'
    inner = "y = com.microsoft.DynamicQuantizeLSTM<hidden_size = 3>(x, w, r, , , , , , s, z, s, z)"
    weights = "int8[1,4,12] w, int8[1,3,12] r, float[1] s, int8[1] z"
    plain = f"{head} (float[5,9,4] x, {weights}) => (float[5,1,9,3] y) {{ {inner} }}"
    other = inner.replace("y =", "q =")
    branch = f"""{head} (float[5,9,4] x, bool c, {weights}) => (float[5,1,9,3] y) {{
      y = If(c) <then_branch = t () => (float[5,1,9,3] p) {{ {inner.replace("y =", "p =")} }},
                 else_branch = e () => (float[5,1,9,3] q) {{ {other} }}> }}"""
    assert [threads_for(onnx.parser.parse_model(text)) for text in (plain, branch)] == [1, 1]
    relu = f"{head} (float[2] x) => (float[2] y) {{ y = Relu(x) }}"
    assert threads_for(onnx.parser.parse_model(relu)) == os.cpu_count()
