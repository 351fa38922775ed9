"""SG152: quantization to sixteen bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import CONTRIB, Case, keeps_values, same, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG152"
PAIR = """g (float[N,4] x) => (float[N,4] y) <float s = {0.5}, KIND z = {ZERO}> {
  q = QuantizeLinear(x, s, z)
  y = DequantizeLinear(q, s, z) }"""


def pair(kind: str, zero: int) -> str:
    """A tensor that is quantized and dequantized."""
    return PAIR.replace("KIND", kind).replace("ZERO", str(zero))


CONTRIB_PAIR = CONTRIB + pair("uint16", 30000).replace(" QuantizeLinear", " com.microsoft.QuantizeLinear").replace(
    " DequantizeLinear", " com.microsoft.DequantizeLinear"
)
REWRITES = [
    Case("signed", pair("int16", 3), opset=21),
    Case("unsigned", pair("uint16", 32768), opset=21),
    Case("of onnxruntime", CONTRIB_PAIR),
    Case(
        "several readers, one of them in another scale",
        """g (float[2,3] x) => (float[2,3] y, float[2,3] w) <float s = {0.5}, float t = {0.25}, int16 z = {-3}> {
          q = QuantizeLinear(x, s, z)
          y = DequantizeLinear(q, s, z)
          v = DequantizeLinear(q, t, z)
          w = Neg(v) }""",
        opset=21,
    ),
    Case(
        "stored numbers with a scale for each column",
        """g (float[2,3] x) => (float[2,2] y) <int16[3,2] q = {1, -2, 300, 4, 5, -3000},
        float[2] s = {0.5, 0.1}, int16[2] z = {7, 8}> {
          w = DequantizeLinear<axis = 1>(q, s, z)
          y = MatMul(x, w) }""",
        opset=21,
    ),
]
LEFT_ALONE = [
    Case(
        "stored numbers with a computed zero point",
        "g (int16 z) => (float[2] y) <int16[2] q = {1, -2}, float s = {0.5}> { y = DequantizeLinear(q, s, z) }",
        opset=21,
    ),
    Case("eight bits", PAIR.replace("KIND", "int8").replace("ZERO", "3"), opset=21),
    Case(
        "it is a graph output",
        pair("int16", 3).replace("=> (", "=> (int16[N,4] q, "),
        opset=21,
    ),
    Case(
        "a computed scale",
        pair("int16", 3).replace("x)", "x, float t)").replace("x, s", "x, t"),
        opset=21,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize(("kind", "zero"), [("int16", -32768), ("int16", 5), ("uint16", 0), ("uint16", 65535)])
def test_the_same_bits_at_ties_limits_and_nan(kind: str, zero: int) -> None:
    values = [[0.25, 0.75, -0.25, -1.25], [1e9, -1e9, 16384.0, -16384.25], [np.inf, -np.inf, np.nan, 32768.0]]
    same(pair(kind, zero), 21, CODE, [{"x": values}], exact=True)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
