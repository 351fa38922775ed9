"""SG210: scales and offsets of channels behind a convolution."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import left_alone, operators, run

CODE = "SG210"
PATTERNS = {
    "batch normalization": """g (float[1,2,3,3] x) => (float[1,3,3,3] y)
        <float[3,2,1,1] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, -1, 2}, float[3] s = {1, 2, 3}, float[3] h = {4, 5,
        6}, float[3] m = {0.5, 1, -2}, float[3] v = {1, 4, 0.25}> {
          c = Conv(x, w, b)
          y = BatchNormalization<epsilon = 0.5>(c, s, h, m, v)
        }""",
    "a scale and an offset": """g (float[1,2,3,3] x) => (float[1,3,3,3] y)
        <float[3,2,1,1] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, -1, 2}, float[3,1,1] s = {1, 2, 3}, float[1,3,1,1]
        h = {4, 5, 6}> {
          c = Conv(x, w)
          d = Mul(c, s)
          y = Add(h, d)
        }""",
    "one number for all": """g (float[1,2,3,3] x) => (float[1,3,3,3] y)
        <float[3,2,1,1] w = {1, 2, 3, 4, 5, 6}, float[3] b = {1, -1, 2}, float h = {4}> {
          c = Conv<dilations = [1, 1]>(x, w, b)
          y = Add(c, h)
        }""",
}


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    """The model with random weights w[8,2,3,3], a bias b[8] and the parameters of a normalization."""
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}')
    rng = np.random.default_rng(0)
    drawn = {"w": rng.normal(size=(8, 2, 3, 3)), "b": rng.normal(size=8), "s": rng.normal(size=8)}
    drawn |= {"h": rng.normal(size=8), "m": rng.normal(size=8), "v": rng.uniform(1e-3, 2, 8)}
    read = {name for node in made.graph.node for name in node.input}
    values = {name: value.astype(np.float32) for name, value in drawn.items() if name in read}
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    return made


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,2,9,9] x) => (float[2,8,7,7] y) { c = Conv(x, w)  y = BatchNormalization(c, s, h, m, v) }",
        "g (float[2,4,9,9] x) => (float[2,8,5,5] y) "
        "{ c = Conv<group = 2, strides = [2, 2], pads = [1, 1, 1, 1]>(x, w, b) "
        "y = BatchNormalization(c, s, h, m, v) }",
        "g (float[2,2,9,9] x) => (float[2,8,7,7] y) <float[8,1,1] f = {1, 2, 3, 4, 5, 6, 7, 8}, float k = {0.5}> "
        "{ c = Conv(x, w, b)  a = Add(k, c)  d = Mul(a, f)  n = BatchNormalization(d, s, h, m, v)  y = Add(n, f) }",
    ],
    ids=["normalization", "groups, strides and a bias", "a chain"],
)
def test_one_convolution_is_left(text: str) -> None:
    before = model(text)
    after, report = surgery.fix_model(before, select=("SG0", "SG210"))
    assert "SG210" in {finding.code for finding in report.findings}
    assert [node.op_type for node in after.graph.node] == ["Conv"]
    shape = [dim.dim_value for dim in before.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    (wanted,), (got,) = run(before, feeds), run(after, feeds)
    assert np.abs(got - wanted).max() <= 2e-6 * np.sqrt(np.mean(wanted.astype(np.float64) ** 2))


@pytest.mark.parametrize(
    "text",
    [
        "g (float[1,1,3,3] x, float[1,1,1,1] w) => (float[1,1,3,3] y) <float k = {2}> "
        "{ c = Conv(x, w)  y = Mul(c, k) }",
        "g (float[1,1,3,3] x) => (float[1,1,3,3] y, float[1,1,3,3] c) <float[1,1,1,1] w = {3}, float k = {2}> "
        "{ c = Conv(x, w)  y = Mul(c, k) }",
        "g (float[1,1,3,3] x) => (float[1,1,3,3] y) <float[1,1,1,1] w = {3}, float[3] k = {1, 2, 3}> "
        "{ c = Conv(x, w)  y = Mul(c, k) }",
        "g (float[1,1,3,3] x) => (float[1,2,3,3] y) <float[1,1,1,1] w = {3}, float[1,2,1,1] k = {1, 2}> "
        "{ c = Conv(x, w)  y = Add(c, k) }",
        "g (float16[1,1,3,3] x) => (float16[1,1,3,3] y) <float16[1,1,1,1] w = {3}, float16 k = {2}> "
        "{ c = Conv(x, w)  y = Mul(c, k) }",
        "g (float[1,1,3,3] x) => (float[1,1,3,3] y) <float[1,1,1,1] w = {3}, float[1] o = {1}, float[1] v = {-1}> "
        "{ c = Conv(x, w)  y = BatchNormalization(c, o, o, o, v) }",
    ],
    ids=["weights computed", "an output", "for each column", "more channels", "float16", "no root"],
)
def test_left_alone(text: str) -> None:
    left_alone(text, 17, "SG210")


SHARED = (
    "g (float[1,@,3,3] x) => (float[1,@,3,3] y, float[1,@,3,3] z) <float k = {2}> "
    "{ c = Conv(x, w)  y = Mul(c, k)  n = Neg(x)  d = Conv(n, w)  z = Add(d, x) }"
)


@pytest.mark.parametrize(("channels", "muls"), [(8, 0), (144, 1)])
def test_weights_that_two_nodes_read_are_stored_twice_if_they_are_small(channels: int, muls: int) -> None:
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{SHARED.replace("@", str(channels))}')
    weights = np.random.default_rng(0).normal(size=(channels, channels, 1, 1)).astype(np.float32)
    made.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    fixed, _ = surgery.fix_model(made)
    assert [node.op_type for node in fixed.graph.node].count("Mul") == muls


DECONVOLUTION = """g (float[2,4,5,5] x) => (float[2,6,6,6] y) <float[6,1,1] k = {1, 2, 3, 4, 5, 6}> {
  c = ConvTranspose<group = 2>(x, w)
  y = Mul(c, k)
}"""
GEMM = """g (float[3,4] x) => (float[3,6] y) <float[6] k = {1, 2, 3, 4, 5, 6}, float[6] b = {6, 5, 4, 3, 2, 1}> {
  c = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(x, w, b)
  d = Sub(k, c)
  y = Div(d, k)
}"""


@pytest.mark.parametrize(("text", "dims"), [(DECONVOLUTION, (4, 3, 2, 2)), (GEMM, (6, 4))], ids=["groups", "Gemm"])
def test_other_products(text: str, dims: tuple[int, ...]) -> None:
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    weights = np.random.default_rng(0).normal(size=dims).astype(np.float32)
    made.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    fixed, _ = surgery.fix_model(made)
    assert len(fixed.graph.node) == 1
    shape = [dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    np.testing.assert_allclose(run(fixed, feeds)[0], run(made, feeds)[0], rtol=1e-5, atol=1e-5)


def test_normalization_that_trains() -> None:
    text = (
        "g (float[1,2,9,9] x) => (float[1,8,7,7] y, float[8] rm, float[8] rv) "
        "{ c = Conv(x, w)  y, rm, rv = BatchNormalization<training_mode = 1>(c, s, h, m, v) }"
    )
    fixed, _ = surgery.fix_model(model(text), guard=False, target="onnxruntime", select=("SG210",))
    assert operators(fixed) >= {"Conv", "BatchNormalization"}


def test_of_itself() -> None:
    text = "g (float[2,2,9,9] x) => (float[2,8,7,7] y) { c = Conv(x, w)  y = BatchNormalization(c, s, h, m, v) }"
    fixed, report = surgery.fix_model(model(text))
    assert operators(fixed) == {"Conv"}
    assert [check.status for check in report.checks if check.name == "parity"] == ["pass"]
