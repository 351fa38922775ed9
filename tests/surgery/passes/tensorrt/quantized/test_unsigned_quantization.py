"""SG196: unsigned eight-bit numbers with zero point 128."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG196"
REWRITES = [
    Case(
        "there and back",
        """g (float[N,8] x) => (float[N,8] y) <float s = {0.02}, uint8 z = {128}> { q = QuantizeLinear(x, s, z)
          y = DequantizeLinear(q, s, z) }""",
    ),
    Case(
        "a product with stored numbers",
        """g (float[N,2] x) => (float[N,3] y) <float s = {0.02}, uint8 z = {128}, float t = {0.1}, uint8[2,3] w
          = {0, 100, 128, 255, 3, 130}> { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) f =
          DequantizeLinear(w, t, z) y = MatMul(d, f) }""",
    ),
]
LEFT_ALONE = [
    Case(
        "another zero point",
        """g (float[8] x) => (float[8] y) <float s = {0.02}, uint8 z = {127}> { q = QuantizeLinear(x, s, z) y =
          DequantizeLinear(q, s, z) }""",
    ),
    Case(
        "the numbers are an output",
        """g (float[8] x) => (uint8[8] q, float[8] y) <float s = {0.02}, uint8 z = {128}> { q =
          QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
    ),
    Case(
        "something else reads the numbers",
        """g (float[8] x) => (float[8] y, int32[8] r) <float s = {0.02}, uint8 z = {128}> { q =
          QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) r = Cast<to = 6>(q) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
