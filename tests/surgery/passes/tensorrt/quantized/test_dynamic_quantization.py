"""SG199: DynamicQuantizeLinear whose result is multiplied or dequantized, to the bit as onnxruntime computes it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
from tests.surgery.passes.comparing import Case, left_alone, operators, parse, run

CODE = "SG199"
# Weights below 64, whose products with uint8 onnxruntime sums without overflow on any processor.
WEIGHTS = "int8[4,2] w = {1, -2, 63, 4, -5, 6, 7, -60}, int8 wz = {0}, int8[2,1,1,3] k = {9, -8, 7, 6, -5, 4}"
STORED = f"{WEIGHTS}, float ws = {{0.0123}}"
HEAD = f"g (float[3,4] x) => (float[3,2] y) <{STORED}>"
PRODUCT = "p = MatMulInteger(q, w, z, wz)  f = Cast<to = 1>(p)  t = Mul(s, ws)  y = Mul(f, t)"
MODELS = {
    "a matrix product": f"{HEAD} {{ q, s, z = DynamicQuantizeLinear(x)  {PRODUCT} }}",
    "behind a Relu": f"{HEAD} {{ r = Relu(x)  v = Identity(r)  q, s, z = DynamicQuantizeLinear(r)  {PRODUCT} }}",
    "two products of one tensor": f"""g (float[3,4] x) => (float[3,2] y, float[3,2] v) <{STORED}, float us = {{0.5}}> {{
      q, s, z = DynamicQuantizeLinear(x)  {PRODUCT}
      c = MatMulInteger(q, w, z)  d = Cast<to = 1>(c)  e = Mul(us, s)  v = Mul(e, d)
    }}""",
    "a convolution with padding": f"""g (float[1,1,3,4] x) => (float[1,2,3,4] y)
    <{WEIGHTS}, float[1] ws = {{0.0123}}> {{
      q, s, z = DynamicQuantizeLinear(x)  p = ConvInteger<pads = [0, 1, 0, 1]>(q, k, z)
      f = Cast<to = 1>(p)  t = Mul(s, ws)  y = Mul(f, t)
    }}""",
    "the integers are an output": f"""g (float[3,4] x) => (int32[3,2] y, float s) <{STORED}> {{
      q, s, z = DynamicQuantizeLinear(x)  y = MatMulInteger(q, w, z, wz)
    }}""",
    "dequantized for a product": f"""g (float[3,4] x) => (float[3,2] y) <{STORED}> {{
      q, s, z = DynamicQuantizeLinear(x)  d = DequantizeLinear(q, s, z)  f = Cast<to = 1>(w)  y = MatMul(d, f)
    }}""",
}
REWRITES = [Case(name, text, opset=13) for name, text in MODELS.items()]
LEFT_ALONE = [
    Case(
        "the eight-bit numbers are an output",
        f"""g (float[3,4] x) => (float[3,2] y, uint8[3,4] q) <{STORED}> {{
          q, s, z = DynamicQuantizeLinear(x)  {PRODUCT}
        }}""",
    ),
    Case(
        "another node reads the eight-bit numbers",
        f"""g (float[3,4] x) => (float[3,2] y, float[3,4] v) <{STORED}> {{
          q, s, z = DynamicQuantizeLinear(x)  {PRODUCT}  v = Cast<to = 1>(q)
        }}""",
    ),
    Case(
        "another node reads the zero point",
        f"""g (float[3,4] x) => (float[3,2] y, float v) <{STORED}> {{
          q, s, z = DynamicQuantizeLinear(x)  {PRODUCT}  v = Cast<to = 1>(z)
        }}""",
    ),
    Case(
        "a product with another zero point",
        f"""g (float[3,4] x) => (float[3,2] y) <{STORED}, uint8 other = {{3}}> {{
          q, s, z = DynamicQuantizeLinear(x)  {PRODUCT.replace("z, wz", "other, wz")}
        }}""",
    ),
    Case(
        "dequantized with another scale",
        f"""g (float[3,4] x) => (float[3,4] y) <{STORED}> {{
          q, s, z = DynamicQuantizeLinear(x)  d = DequantizeLinear(q, ws, z)  y = Exp(d)
        }}""",
    ),
    Case(
        "an output would show the sign of a zero",
        "g (float[3,4] x) => (float[3,4] y) { q, s, z = DynamicQuantizeLinear(x)  y = DequantizeLinear(q, s, z) }",
    ),
    Case(
        "sums of an unknown number of terms",
        """g (float[3,n] x, int8[n,2] w) => (int32[3,2] y) {
          q, s, z = DynamicQuantizeLinear(x)  y = MatMulInteger(q, w, z)
        }""",
    ),
]
TIES = np.float32([-127.5, 127.5, 0.5, 1.5, -0.5, -1.5, 63.5, 64.5, -2.5, 3, 0, -0.0])
INPUTS = {
    "random": np.random.default_rng(0).normal(size=12),
    "positive": np.random.default_rng(1).random(12) + 0.5,
    "negative": -np.random.default_rng(2).random(12) - 0.5,
    "zeros of both signs": np.float32([0.0, -0.0] * 6),
    "ties, 256 steps apart": TIES,
    "tiny": TIES * np.float32(1e-33),
    "large": TIES * np.float32(1e35),
}


def fixed(text: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    model = parse(text, 13)
    result, report = surgery.fix_model(model, guard=False)
    assert CODE in {finding.code for finding in report.findings}
    assert not {"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"} & operators(result)
    return model, result


@pytest.mark.parametrize("values", INPUTS)
@pytest.mark.parametrize("name", MODELS)
def test_every_bit_is_the_same(name: str, values: str) -> None:
    model, result = fixed(MODELS[name])
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": INPUTS[values].reshape(shape).astype(np.float32)}
    for wanted, got in zip(run(model, feeds), run(result, feeds), strict=True):
        assert (got.dtype, got.tobytes()) == (wanted.dtype, wanted.tobytes())


@pytest.mark.parametrize(("name", "most"), [("a matrix product", 18), ("behind a Relu", 12)])
def test_few_nodes_are_written(name: str, most: int) -> None:
    assert len(fixed(MODELS[name])[1].graph.node) == most


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_not_hidden(bad: float) -> None:
    _, result = fixed(MODELS["a matrix product"])
    x = np.ones((3, 4), np.float32)
    x[1, 2] = bad
    assert not np.isfinite(run(result, {"x": x})[0]).any()


def test_values_below_the_normal_numbers_are_kept_as_well_as_before() -> None:
    model, result = fixed(MODELS["a matrix product"])
    feeds = {"x": TIES.reshape(3, 4) * np.float32(1e-39)}
    np.testing.assert_allclose(run(result, feeds)[0], run(model, feeds)[0], atol=1e-37)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    left_alone(case.text, 13, CODE)
