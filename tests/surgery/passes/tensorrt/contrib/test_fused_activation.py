"""SG163: Gelu, BiasGelu, FastGelu, QuickGelu and BiasSplitGelu of onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import surgery
from tests.surgery.passes.comparing import CONTRIB, Case, becomes, keeps_values, operators, parse, run, stays

CODE = "SG163"
BIAS = "<float[4] b = {0.5, -1, 2, 0}>"
REWRITES = [
    Case("Gelu", CONTRIB + "g (float[n,4] x) => (float[n,4] y) { y = com.microsoft.Gelu(x) }", gone=("Gelu",)),
    Case(
        "Gelu is one node in a late opset",
        CONTRIB.replace("17", "20") + "g (float[n,4] x) => (float[n,4] y) { y = com.microsoft.Gelu(x) }",
        after="g (float[n,4] x) => (float[n,4] y) { y = Gelu(x) }",
        opset=20,
    ),
    Case(
        "a bias", CONTRIB + f"g (float[n,4] x) => (float[n,4] y) {BIAS} {{ y = com.microsoft.BiasGelu(x, b) }}",
        gone=("BiasGelu",),
    ),
    Case(
        "the tanh approximation with a bias",
        CONTRIB + f"g (float[n,4] x) => (float[n,4] y) {BIAS} {{ y = com.microsoft.FastGelu(x, b) }}",
        gone=("FastGelu",),
    ),
    Case(
        "the tanh approximation in a late opset",
        CONTRIB.replace("17", "20") + "g (float[n,4] x) => (float[n,4] y) { y = com.microsoft.FastGelu(x) }",
        after='g (float[n,4] x) => (float[n,4] y) { y = Gelu<approximate = "tanh">(x) }',
        opset=20,
    ),
    Case(
        "QuickGelu",
        CONTRIB + "g (float[n,4] x) => (float[n,4] y) { y = com.microsoft.QuickGelu<alpha = 1.5>(x) }",
        after="g (float[n,4] x) => (float[n,4] y) <float a = {1.5}> { m = Mul(x, a)  s = Sigmoid(m)  y = Mul(x, s) }",
    ),
    Case(
        "QuickGelu without alpha",
        CONTRIB + "g (float[n,4] x) => (float[n,4] y) { y = com.microsoft.QuickGelu(x) }",
        gone=("QuickGelu",),
    ),
]  # fmt: skip
LEFT_ALONE = [
    Case(
        "an attribute that onnxruntime does not have",
        CONTRIB + "g (float[2,4] x) => (float[2,4] y) { y = com.microsoft.Gelu<exact = 0>(x) }",
    ),
    Case(
        "a function of the model has this name",
        CONTRIB + """g (float[2,4] x) => (float[2,4] y) { y = com.microsoft.Gelu(x) }
        <domain: "com.microsoft", opset_import: ["" : 17]> Gelu (x) => (y) { y = Relu(x) }""",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    (becomes if case.after else keeps_values)(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_bias_split_gelu() -> None:
    """onnxruntime has this one on CUDA only: ONNX's reference evaluator runs its definition."""
    text = "g (float[2,3,4] x) => (float[2,3,2] y) <float[4] b = {0.5, -1, 2, 0}> "
    fixed, _ = surgery.fix_model(parse(CONTRIB + text + "{ y = com.microsoft.BiasSplitGelu(x, b) }", 17), guard=False)
    assert "BiasSplitGelu" not in operators(fixed)
    wanted = parse(
        text + "{ z = Add(x, b)  l, r = Split<axis = -1, num_outputs = 2>(z)  m = Gelu(r)  y = Mul(l, m) }", 20
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        run(fixed, {"x": x})[0], ReferenceEvaluator(wanted).run(None, {"x": x})[0], rtol=1e-5, atol=1e-6
    )


def test_half_precision_stays_half_precision() -> None:
    text = CONTRIB + "g (float16[2,4] x) => (float16[2,4] y) { y = com.microsoft.QuickGelu(x) }"
    fixed, _ = surgery.fix_model(parse(text, 17), guard=False)
    x = np.linspace(-3, 3, 8, dtype=np.float16).reshape(2, 4)
    got = run(fixed, {"x": x})[0]
    assert got.dtype == np.float16
    wide = x.astype(np.float64)
    np.testing.assert_allclose(got, wide / (1 + np.exp(-1.702 * wide)), atol=4e-3)
