"""Half precision on large values, and of biases that are nearly zero."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import parser

from surgery.precision.lower import lower
from tests.surgery.precision.models import feeds

GATE = """<ir_version: 8, opset_import: ["" : 17]>
a (float[256,32] x) => (float[256,32] y) <float[32,32] w> { z = MatMul(x, w)  g = HardSigmoid(z)  y = Mul(g, x) }"""


def _gate() -> onnx.ModelProto:
    model = parser.parse_model(GATE.replace("<float[32,32] w>", ""))
    w = np.random.default_rng(1).standard_normal((32, 32)).astype("f")
    model.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    return model


def test_large_values_do_not_choose_where_weights_in_half_precision_alone_are_too_much() -> None:
    """A gate that opens between -2.5 and 2.5 turns at thousands of them as a step does: rounding moves the step."""
    model = _gate()
    ordinary, large = feeds(model), feeds(model, 1000.0)
    _, alone = lower(model, "fp16", ordinary, 2e-3)
    assert not alone.stayed
    _, with_large = lower(model, "fp16", ordinary, 2e-3, extreme=large)
    assert not with_large.stayed
    assert with_large.errors["y"] <= 2e-3 < with_large.unsteady[0]
    _, real = lower(model, "fp16", [*ordinary, *large], 2e-3)
    assert {node.op for node in real.stayed} >= {"MatMul"}


def test_large_values_still_say_what_overflows_where_their_error_does_not_count() -> None:
    model = _gate()
    _, result = lower(model, "fp16", feeds(model), 1e-3, extreme=feeds(model, 2000.0))
    assert result.unsteady
    assert "too large for fp16" in {node.op: node.why for node in result.stayed}["MatMul"]


def test_a_bias_that_becomes_zero_does_not_keep_a_product_in_float32() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> a (float[4,8] x, float[8,8] w) => (float[4,8] y)
    <float[8] b = {1e-8,1e-8,1e-8,1e-8,1e-8,1e-8,1e-8,1e-8}> { y = Gemm(x, w, b) }"""
    model = parser.parse_model(text)
    _, result = lower(model, "fp16", feeds(model))
    assert not result.stayed
