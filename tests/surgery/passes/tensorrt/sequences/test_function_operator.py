"""SG101: Operators the target does not know although ONNX defines them by simpler ones."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, operators, parse, same, stays

CODE = "SG101"
REWRITES = [
    Case(
        "nll",
        "g (float[3,5] x, int64[3] t) => (float y) { y = NegativeLogLikelihoodLoss(x, t) }",
        opset=22,
        gone=("NegativeLogLikelihoodLoss",),
        inputs={"t": [0, 4, 2]},
    ),
    Case(
        "softmax cross entropy down to the end",
        """g (float[3,5] x, int64[3] t) => (float y, float[3,5] z) {
          y, z = SoftmaxCrossEntropyLoss(x, t)
        }""",
        opset=13,
        gone=("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"),
        inputs={"t": [0, 4, 2]},
    ),
    Case(
        "an omitted input",
        """g (float[3,5] x, int64[3] t) => (float[3] y) {
          y = NegativeLogLikelihoodLoss<ignore_index = 1, reduction = "none">(x, t)
        }""",
        opset=18,
        gone=("NegativeLogLikelihoodLoss",),
        inputs={"t": [0, 1, 2]},
    ),
    Case(
        "down to Swish, which onnxruntime lacks here",
        "g (float[2,4] a, float[2,4] b) => (float[2,4] y) { z = SwiGLU(a, b)  y = Relu(z) }",
        opset=28,
        gone=("SwiGLU", "Swish"),
    ),
    Case(
        "dynamic quantize",
        "g (float[4] x) => (uint8[4] y, float s, uint8 z) { y, s, z = DynamicQuantizeLinear(x) }",
        opset=11,
        gone=("DynamicQuantizeLinear",),
    ),
    Case(
        "dynamic quantization at a late opset",
        "g (float[n,4] x) => (uint8[n,4] y, float s, uint8 z) { y, s, z = DynamicQuantizeLinear(x) }",
        opset=20,
        gone=("DynamicQuantizeLinear",),
        inputs={"x": [[-1.5, 0.25, 3.0, 0.5]]},
    ),
]
LEFT_ALONE = [
    Case("the target takes it", "g (float[2] x) => (float[2] y) { y = Softplus(x) }"),
    Case("no function body is defined", "g (float[3] x) => (float[n] y) { y = Unique(x) }", opset=18),
    Case("types are not known", "g (t, float[3,5] x) => (float y) { y = NegativeLogLikelihoodLoss(x, t) }", opset=22),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("fill", [0.0, -3.0, 2.0])
def test_the_scale_of_zeros_is_one(fill: float) -> None:
    text = """g (float[2,3] x) => (uint8[2,3] y, float s, uint8 z)
    { r = Relu(x)  y, s, z = DynamicQuantizeLinear(r) }"""
    same(text, 18, "SG101", [{"x": np.full((2, 3), fill, np.float32)}], exact=True)


def test_values_of_a_dynamically_quantized_row_of_nan_are_nan() -> None:
    """A row that is masked as a whole is NaN after its Softmax; onnxruntime gives NaN for the dequantized tensor."""
    text = """g (float[2,4,4] x) => (float[2,4,4] y)
    { p = Softmax <axis = -1> (x)  q, s, z = DynamicQuantizeLinear(p)  y = DequantizeLinear(q, s, z) }"""
    masked = np.ones((2, 4, 4), np.float32)
    masked[1, 3] = -np.inf
    same(text, 18, "SG101", [{"x": masked}, {"x": np.ones((2, 4, 4), np.float32)}])


def test_two_bodies_share_no_names_of_dims() -> None:
    """onnxruntime gives tensors whose dims have the same names one buffer: with other sizes the model does not run."""
    text = """g (float[p] x, int64[1] d, float[q] z, int64[1] e) => (float[n,2] y, float[k,2] v)
    <int64[1] two = {2}> {
      first = Concat<axis = 0>(d, two)  a = Reshape(x, first)  q, s, o = DynamicQuantizeLinear(a)
      second = Concat<axis = 0>(e, two)  b = Reshape(z, second)  r, t, p = DynamicQuantizeLinear(b)
      y = DequantizeLinear(q, s, o)  v = DequantizeLinear(r, t, p)
    }"""
    values = np.random.default_rng(0).random(20, np.float32)
    fixed = same(text, 17, CODE, [{"x": values[:6], "d": np.array([3]), "z": values, "e": np.array([10])}])
    inner = [info for info in fixed.graph.value_info if "SG101" in info.name]
    first, second = (
        {dim.dim_param for info in inner if info.name.startswith(made) for dim in info.type.tensor_type.shape.dim}
        - {""}
        for made in "qr"
    )
    assert len(inner) > 2
    assert not first & second


def test_infinite_inputs_do_not_keep_a_quantized_model_from_its_rewrite() -> None:
    """onnxruntime's kernel and the body give other numbers where the scale is infinite."""
    text = (
        """g (float[n,4] x) => (float[n,4] y) { q, s, z = DynamicQuantizeLinear(x)  y = DequantizeLinear(q, s, z) }"""
    )
    fixed, report = surgery.fix_model(parse(text, 13))
    assert "DynamicQuantizeLinear" not in operators(fixed)
    assert any("with NaN or infinity in the inputs 'y' has NaN in other places" in c.message for c in report.checks)
