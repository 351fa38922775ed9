"""SG161 keeps integer products exact where their sums leave the 24 bits of float32.

The original runs in ONNX's reference evaluator: without VNNI instructions onnxruntime saturates uint8 times int8.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, operators, parse, run, same, stays

CODE = "SG161"
REWRITES = [
    Case(
        "matrices of bytes",
        """g (uint8[2,4] a, uint8[4,3] b) => (uint8[2,3] y) <float s = {0.1}, uint8 z = {3}> {
          y = QLinearMatMul(a, s, z, b, s, z, s, z)
        }""",
        opset=13,
        gone=("QLinearMatMul",),
        inputs={"a": [[1, 2, 3, 4], [5, 6, 7, 8]], "b": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]},
    ),
    Case(
        "integers out",
        """g (uint8[2,4] a, uint8[4,3] b) => (int32[2,3] y) <uint8 z = {3}> {
          y = MatMulInteger(a, b, z, z)
        }""",
        opset=13,
        gone=("MatMulInteger",),
    ),
    Case(
        "an unknown number of terms, rounded to eight bits",
        """g (uint8[2,N] a, uint8[N,3] b) => (uint8[2,3] y) <float s = {0.1}, uint8 z = {3}> {
          y = QLinearMatMul(a, s, z, b, s, z, s, z)
        }""",
        opset=13,
        gone=("QLinearMatMul",),
    ),
    Case(
        "both factors with a free batch",
        """g (uint8[N,2,4] a, uint8[N,4,K] b) => (uint8[N,2,K] y) <float s = {0.1}, uint8 z = {3}> {
          y = QLinearMatMul(a, s, z, b, s, z, s, z)
        }""",
        opset=13,
        gone=("QLinearMatMul",),
    ),
]
LEFT_ALONE = [
    Case(
        "an unknown length of the sums",
        "g (uint8[2,N] a, uint8[N,3] b) => (int32[2,3] y) { y = MatMulInteger(a, b) }",
        opset=13,
    ),
    Case(
        "a group's sums may pass 24 bits",
        """g (uint8[1,600,1,1] a, uint8[2,300,1,1] b) => (int32[1,2,1,1] y) {
          y = ConvInteger<group = 2>(a, b)
        }""",
        opset=13,
    ),
]


def model(text: str, **stored: np.ndarray) -> onnx.ModelProto:
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]>\n{text}')
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    return made


def large(kind: type, *shape: int) -> np.ndarray:
    """Values near the largest of the type, so that sums pass 2^24 and are odd."""
    top = np.iinfo(kind).max
    return np.random.default_rng(0).integers(top - 3, top, shape, endpoint=True).astype(kind)


def check(made: onnx.ModelProto, gone: str, products: int, **feeds: np.ndarray) -> None:
    fixed, report = surgery.fix_model(made, guard=False)
    assert "SG161" in {finding.code for finding in report.findings}
    assert gone not in operators(fixed)
    assert sum(node.op_type in ("MatMul", "Conv") for node in fixed.graph.node) == products
    for wanted, got in zip(ReferenceEvaluator(made).run(None, feeds), run(fixed, feeds), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


def test_both_factors_are_inputs() -> None:
    made = model("g (uint8[2,900] a, uint8[900,3] b) => (int32[2,3] y) { y = MatMulInteger(a, b) }")
    check(made, "MatMulInteger", 4, a=large(np.uint8, 2, 900), b=large(np.uint8, 900, 3))


@pytest.mark.parametrize(("kind", "products"), [(np.int8, 2), (np.uint8, 4)])
def test_bounds_of_constant_weights(kind: type, products: int) -> None:
    made = model(
        "g (uint8[2,1000] a) => (int32[2,3] y) <uint8 z = {3}> { y = MatMulInteger(a, b, z, w) }",
        b=large(kind, 1000, 3), w=np.zeros((), kind) + 1,
    )  # fmt: skip
    check(made, "MatMulInteger", products, a=large(np.uint8, 2, 1000))


def test_small_weights_need_one_product() -> None:
    made = model("g (uint8[2,1000] a) => (int32[2,3] y) { y = MatMulInteger(a, b) }", b=np.ones((1000, 3), np.int8))
    check(made, "MatMulInteger", 1, a=large(np.uint8, 2, 1000))


def test_a_batch_of_matrices() -> None:
    made = model("g (int8[4,2,700] a, int8[700,3] b) => (int32[4,2,3] y) { y = MatMulInteger(a, b) }")
    check(made, "MatMulInteger", 3, a=large(np.int8, 4, 2, 700), b=large(np.int8, 700, 3))


def test_convolution() -> None:
    made = model(
        "g (uint8[1,64,5,5] x) => (int32[1,2,5,5] y) <uint8 z = {7}> { y = ConvInteger<pads = [1, 1, 1, 1]>(x, w, z) }",
        w=large(np.int8, 2, 64, 3, 3),
    )
    check(made, "ConvInteger", 2, x=large(np.uint8, 1, 64, 5, 5))


def test_convolution_with_a_large_bias() -> None:
    made = model(
        "g (uint8[1,64,5,5] x) => (uint8[1,2,3,3] y) <float s = {0.01}, float t = {70.0}, uint8 z = {7}, int8 o = {0}> "
        "{ y = QLinearConv(x, s, z, w, s, o, t, z, b) }",
        w=large(np.int8, 2, 64, 3, 3), b=np.array([20_000_001, -19_000_003], np.int32),
    )  # fmt: skip
    check(made, "QLinearConv", 2, x=large(np.uint8, 1, 64, 5, 5))


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_a_product_in_an_unrolled_loop() -> None:
    text = """g (float[2,2] x) => (float[2,2] y) <int64 n = {3}, bool t = {1}> {
      y = Loop(n, t, x) <body = b (int64 i, bool c, float[] v) => (bool co, float[] d)
        <float s = {0.1}, int8 z = {3}, int8[2,2] w = {1,2,3,4}, float o = {0.3}, int8 p = {5}> {
          co = Identity(c)  q = QuantizeLinear(v, s, z)  m = QLinearMatMul(q, s, z, w, s, z, o, p)
          d = DequantizeLinear(m, o, p) }> }"""
    x = np.array([[1, -2], [0.5, 3]], np.float32)
    fixed = same(text, 18, "SG161", [{"x": x}])
    assert not operators(fixed) & {"Loop", "QLinearMatMul"}


def test_a_factor_without_elements_gives_zeros() -> None:
    model = parse("g (uint8[2,0] a) => (int32[2,3] y) <uint8[0,3] b = {}> { y = MatMulInteger(a, b) }", 13)
    fixed, report = surgery.fix_model(model)
    assert not [check.message for check in report.checks if "could not examine" in check.message]
    (result,) = ReferenceEvaluator(fixed).run(None, {"a": np.zeros((2, 0), np.uint8)})
    np.testing.assert_array_equal(result, np.zeros((2, 3), np.int32))


def test_a_chain_of_products_keeps_its_int8_weights_and_its_values() -> None:
    """Moves, a product with stored weights and one of two computed factors: no Cast to eight bits and back."""
    rng = np.random.default_rng(0)
    source = model(
        """g (float[3,8] x) => (float[3,3] y)
        <float s = {0.02}, uint8 z = {100}, float ws = {0.01}, int8 wz = {0}, float t = {0.05}, uint8 tz = {90}> {
          q = QuantizeLinear(x, s, z)
          a = QLinearMatMul(q, s, z, w, ws, wz, t, tz)
          b = Transpose(a)
          c = QLinearMatMul(a, t, tz, b, t, tz, t, tz)
          y = DequantizeLinear(c, t, tz)
        }""",
        w=rng.integers(-63, 64, (8, 16)).astype(np.int8),
    )
    fixed, report = surgery.fix_model(source)
    assert "Cast" not in operators(fixed)
    figures = next(check.figures["eight_bit_products"] for check in report.checks if check.name == "surgery")
    assert figures == {"before": 2, "kept": 1, "in_floating_point": 1}
    assert next(check.message for check in report.checks if check.name == "parity").startswith("equal bit for bit")
    feeds = {"x": rng.normal(size=(3, 8)).astype(np.float32)}
    np.testing.assert_array_equal(run(fixed, feeds)[0], run(source, feeds)[0])
