"""SG030: a limit that is set by a comparison, although no element can be NaN."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG030"
LIMITS = "float s = {0.5}, float low = {-3}, float high = {5}"
LIMITED = """c = Greater(r, low)
          w = Where(c, r, low)
          y = Min(w, high)"""
REWRITES = [
    Case(
        "a rounded sum of dequantized numbers",
        f"""g (int8[n] x) => (float[n] y) <{LIMITS}> {{
          d = DequantizeLinear(x, s)
          e = Add(d, d)
          r = Round(e)
          {LIMITED}
        }}""",
        after="""g (int8[n] x) => (float[n] y) <float s = {0.5}, float low = {-3}, float high = {5}> {
          d = DequantizeLinear(x, s)
          e = Add(d, d)
          r = Round(e)
          y = Clip(r, low, high)
        }""",
    ),
    Case(
        "a lower limit of zero, and nothing below it",
        """g (int8[n] x) => (float[n] y) <float s = {0.5}, float low = {0}, float high = {0.7}> {
          d = DequantizeLinear(x, s)
          r = Sigmoid(d)
          c = Greater(r, low)
          w = Where(c, r, low)
          y = Min(w, high)
        }""",
        after="""g (int8[n] x) => (float[n] y) <float s = {0.5}, float low = {0}, float high = {0.7}> {
          d = DequantizeLinear(x, s)
          r = Sigmoid(d)
          y = Clip(r, low, high)
        }""",
    ),
    Case(
        "a lower limit of zero, and no output that shows the sign of a zero",
        """g (int8[n] x) => (float[n] z) <float s = {0.5}, float low = {0}, float high = {5}> {
          d = DequantizeLinear(x, s)
          r = Round(d)
          c = Greater(r, low)
          w = Where(c, r, low)
          y = Min(w, high)
          z = Exp(y)
        }""",
        after="""g (int8[n] x) => (float[n] z) <float s = {0.5}, float low = {0}, float high = {5}> {
          d = DequantizeLinear(x, s)
          r = Round(d)
          y = Clip(r, low, high)
          z = Exp(y)
        }""",
    ),
]
LEFT_ALONE = [
    Case("an input may be NaN", f"g (float[n] r) => (float[n] y) <{LIMITS}> {{ {LIMITED} }}"),
    Case(
        "a quotient may be NaN",
        f"""g (int8[n] x) => (float[n] y) <{LIMITS}> {{
          d = DequantizeLinear(x, s)
          r = Div(d, d)
          {LIMITED}
        }}""",
    ),
    Case(
        "-0 becomes 0",
        """g (int8[n] x) => (float[n] y) <float s = {0.5}, float low = {0}, float high = {5}> {
          d = DequantizeLinear(x, s)
          r = Round(d)
          c = Greater(r, low)
          w = Where(c, r, low)
          y = Min(w, high)
        }""",
    ),
    Case(
        "another node reads the choice",
        f"""g (int8[n] x) => (float[n] y, float[n] z) <{LIMITS}> {{
          r = DequantizeLinear(x, s)
          {LIMITED}
          z = Neg(w)
        }}""",
    ),
    Case(
        "the limits are the wrong way round",
        f"""g (int8[n] x) => (float[n] y) <float s = {{0.5}}, float low = {{5}}, float high = {{-3}}> {{
          r = DequantizeLinear(x, s)
          {LIMITED}
        }}""",
    ),
    Case(
        "the comparison is with another number",
        f"""g (int8[n] x) => (float[n] y) <{LIMITS}, float other = {{-2}}> {{
          r = DequantizeLinear(x, s)
          {LIMITED.replace("Greater(r, low)", "Greater(r, other)")}
        }}""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
