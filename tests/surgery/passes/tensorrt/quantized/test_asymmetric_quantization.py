"""SG160: QuantizeLinear and DequantizeLinear that are not symmetric int8 with constant parameters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays

CODE = "SG160"
REWRITES = [
    Case(
        "uint8 both ways",  # without another reader it is SG196 or SG190
        """g (float[4] x) => (float[4] y, int32[4] r) <float s = {0.1}, uint8 z = {120}> {
          q = QuantizeLinear(x, s, z)
          y = DequantizeLinear(q, s, z)
          r = Cast<to = 6>(q)
        }""",
        opset=13,
        gone=("QuantizeLinear", "DequantizeLinear"),
    ),
    Case(
        "one scale for each channel",
        """g (float[2,3] x) => (int8[2,3] y) <float[3] s = {0.1, 0.2, 0.3}, int8[3] z = {3, 0, -4}> {
          y = QuantizeLinear<axis = 1>(x, s, z)
        }""",
        opset=13,
        gone=("QuantizeLinear",),
    ),
    Case(
        "a bias of int32",
        """g (float[2,3] x) => (float[2,3] y) <int32[3] b = {70000, -3, 5}, float[3] s = {0.1, 0.2, 0.3}> {
          f = DequantizeLinear<axis = 0>(b, s)
          y = Add(x, f)
        }""",
        after="""g (float[2,3] x) => (float[2,3] y)
        <float[3] s = {0.1, 0.2, 0.3}, int64[1] t0 = {-1}, float[3] t1 = {70000, -3, 5}> {
          t2 = Reshape(s, t0)
          f = Mul(t1, t2)
          y = Add(x, f)
        }""",
        opset=13,
        gone=("DequantizeLinear",),
    ),
]
LEFT_ALONE = [
    Case(
        "symmetric int8 has a layer",
        """g (float[4] x) => (float[4] y) <float s = {0.1}, int8 z = {0}> {
          q = QuantizeLinear(x, s, z)
          y = DequantizeLinear(q, s, z)
        }""",
        opset=13,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize(("kind", "zero"), [("uint8", 3), ("int8", -7), ("uint8", 255)])
def test_nan_becomes_the_lowest_number_as_in_onnxruntime(kind: str, zero: int) -> None:
    text = f"""g (float[8] x) => (float[8] y) <float s = {{0.1}}, {kind} z = {{{zero}}}>
    {{ a = QuantizeLinear(x, s, z)  y = DequantizeLinear(a, s, z) }}"""
    x = np.array([np.nan, 1, -np.inf, np.inf, 1e30, -0.0, 0.05, -1e9], np.float32)
    same(text, 18, "SG190", [{"x": x}], exact=True)
    same(text, 18, CODE, [{"x": x}], exact=True, ignore=("SG190",))
