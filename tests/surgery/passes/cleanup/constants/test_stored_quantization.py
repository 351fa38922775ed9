"""SG032: QuantizeLinear of stored numbers, which gives the same eight-bit numbers at every run."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG032"
READ = "d = DequantizeLinear(q, s, z)  y = Add(x, d)"
REWRITES = [
    Case(
        "stored floating point, ties to even, values beyond the range",
        f"""g (float[5] x) => (float[5] y)
        <float[5] w = {{0.25, 0.75, -1, 99, -99}}, float s = {{0.5}}, int8 z = {{1}}> {{
          q = QuantizeLinear(w, s, z) {READ}
        }}""",
        after=f"""g (float[5] x) => (float[5] y)
        <int8[5] q = {{1, 3, -1, 127, -128}}, float s = {{0.5}}, int8 z = {{1}}> {{
          {READ}
        }}""",
    ),
    Case(
        "stored eight-bit numbers, quantized again in another scale",
        f"""g (float[3] x) => (float[3] y)
        <int8[3] w = {{1, -2, 3}}, float t = {{0.25}}, int8 tz = {{0}}, float s = {{0.5}}, uint8 z = {{128}}> {{
          f = DequantizeLinear(w, t, tz) q = QuantizeLinear(f, s, z) {READ}
        }}""",
        after=f"""g (float[3] x) => (float[3] y)
        <uint8[3] q = {{128, 127, 130}}, float s = {{0.5}}, uint8 z = {{128}}> {{
          {READ}
        }}""",
    ),
    Case(
        "a scale for each channel",
        """g (float[2,2] x) => (float[2,2] y) <float[2,2] w = {1, 2, 3, 4}, float[2] s = {0.5, 1}, int8[2] z = {0, 0}> {
          q = QuantizeLinear<axis = 0>(w, s, z) d = DequantizeLinear<axis = 0>(q, s, z) y = Add(x, d)
        }""",
        after="""g (float[2,2] x) => (float[2,2] y)
        <int8[2,2] q = {2, 4, 3, 4}, float[2] s = {0.5, 1}, int8[2] z = {0, 0}> {
          d = DequantizeLinear<axis = 0>(q, s, z) y = Add(x, d)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "numbers that are not stored",
        """g (float[2] x) => (float[2] y) <float s = {0.5}, int8 z = {1}> {
              q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)
            }""",
    ),
    Case(
        "a scale that is computed",
        """g (float[2] x, float s) => (float[2] y) <float[2] w = {1, 2}, int8 z = {1}> {
          q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = Add(x, d)
        }""",
    ),
    Case(
        "DequantizeLinear of stored numbers",
        """g (float[2] x) => (float[2] y) <int8[2] q = {1, 2}, float s = {0.5}, int8 z = {1}> {
              d = DequantizeLinear(q, s, z) y = Add(x, d)
            }""",
    ),
    Case(
        "an output of the graph",
        """g (float[2] x) => (float[2] y, int8[2] q) <float[2] w = {1, 2}, float s = {0.5}, int8 z = {1}> {
              q = QuantizeLinear(w, s, z) y = Neg(x)
            }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
