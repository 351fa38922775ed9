"""SG198: eight-bit numbers with a zero point other than 0, with products in INT8 where TensorRT has them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, parse, run, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG198"
W = "int8[2,3,2,2] w = {1,-20,30,4,5,6,-7,80,9,10,-11,12,13,14,15,-100,17,18,19,20,21,-22,23,127}, float t = {0.05}"
M = "int8[4,3] w = {1,-20,30,4,5,6,-7,80,9,10,-11,12}, float t = {0.05}"
U = "float s = {0.02}, uint8 z = {37}"
I = "float s = {0.02}, int8 z = {-21}"  # noqa: E741
READ = "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)"


def picture(name: str, zero: str, call: str, more: str = "") -> Case:
    text = (
        f"g (float[N,3,5,5] x) => (float[N,2,H,W] y) <{zero}, {W}{more}> {{ {READ} f = DequantizeLinear(w, t) {call} }}"
    )
    return Case(name, text)


def matrix(name: str, zero: str, call: str, more: str = "") -> Case:
    text = f"g (float[N,4] x) => (float[N,3] y) <{zero}, {M}{more}> {{ {READ} f = DequantizeLinear(w, t) {call} }}"
    return Case(name, text)


INT8 = [
    picture("a convolution of uint8", U, "y = Conv(d, f)"),
    picture("a convolution of int8", I, "y = Conv(d, f)"),
    picture("zeros around the picture", U, "y = Conv<pads = [1,0,1,1]>(d, f)"),
    picture("a bias", I, "y = Conv(d, f, b)", ", float[2] b = {1.5, -2}"),
    picture("a bias in integers", U, "c = DequantizeLinear(b, u) y = Conv(d, f, c)", ", int32[2] b = {1500, -2000}, "
            "float u = {0.001}"),
    matrix("a product of matrices", U, "y = MatMul(d, f)"),
    matrix("a sum and a product", I, "y = Gemm<alpha = 0.5>(d, f, b)", ", float[3] b = {1.5, -2, 3}"),
    Case(
        "a scale for each channel",
        f"""g (float[N,3,5,5] x) => (float[N,2,H,W] y) <{U}, {W.split(", float t")[0]}, float[2] t = {{0.05, 0.1}}> {{
          {READ} f = DequantizeLinear<axis = 0>(w, t) y = Conv(d, f) }}""",
    ),
    picture("two paddings and a sum", U, """a = Conv<pads = [1,1,0,0]>(d, f) b = Conv<pads = [0,0,1,1]>(d, f)
            r = ReduceMean<keepdims = 1, axes = [1]>(d) c = Add(a, b) y = Add(c, r)"""),
]  # fmt: skip
REWRITES = INT8
LEFT_ALONE = [
    Case("around 0", f"g (float[8] x) => (float[8] y) <float s = {{0.02}}, int8 z = {{0}}> {{ {READ} y = Relu(d) }}"),
    Case("no product", f"g (float[N,8] x) => (float[N,8] y) <{U}> {{ {READ} y = Sigmoid(d) }}"),
    matrix("a product with floating point", I, "y = MatMul(d, g)", ", float[4,3] g = {1,2,3,4,5,6,7,8,9,10,11,12}"),
    Case(
        "nothing reads the numbers",
        f"g (float[8] x) => (float[8] y) <{U}> {{ q = QuantizeLinear(x, s, z)  y = Relu(x) }}",
    ),
    Case("the numbers are an output", f"g (float[8] x) => (uint8[8] q, float[8] d) <{U}> {{ {READ} }}"),
    Case(
        "a scale for each channel of the input",
        """g (float[2,8] x) => (float[2,8] y) <float[8] s = {1,2,3,4,5,6,7,8}, uint8[8] z = {1,2,3,4,5,6,7,8}> {
          q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", INT8, ids=str)
def test_products_read_int8_around_zero(case: Case) -> None:
    fixed, _ = surgery.fix_model(parse(case.text, case.opset), guard=False)
    makers = {output: node for node in fixed.graph.node for output in node.output}
    products = [node for node in fixed.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    sources = [makers[name] for node in products for name in node.input[:2]]
    assert {node.op_type for node in sources} == {"DequantizeLinear"}
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in fixed.graph.initializer}
    zeros = [constants[node.input[2]] for node in sources if len(node.input) > 2]
    assert not any(np.any(zero) for zero in zeros)
    assert {zero.dtype for zero in zeros} <= {np.dtype(np.int8)}


def test_numbers_beyond_the_range_and_nan_are_what_they_were() -> None:
    case = INT8[2]
    model = parse(case.text, case.opset)
    fixed, _ = surgery.fix_model(model, guard=False)
    shape = [3 if not dim.dim_value else dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 100
    values.flat[:3] = np.inf, -np.inf, np.nan
    np.testing.assert_allclose(run(fixed, {"x": values})[0], run(model, {"x": values})[0], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
