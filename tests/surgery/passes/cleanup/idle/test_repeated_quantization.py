"""SG026: numbers that are rounded to a step and clipped, and were so before with the same step and bounds."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, run, stays

CODE = "SG026"
NUMBERS = "float s = {0.04942}, float low = {-134}, float high = {121}"
GRAPH = f"g (float[2,3] x) => (float[3,2] z) <{NUMBERS}>"


def rounding(source: str, result: str, step: str = "s", low: str = "low", high: str = "high") -> str:
    """The nodes that round `source` to `step` and clip it."""
    names = [f"{result}{number}" for number in range(5)]
    return f"""{names[0]} = Div({source}, {step})
          {names[1]} = Round({names[0]})
          {names[2]} = Greater({names[1]}, {low})
          {names[3]} = Where({names[2]}, {names[1]}, {low})
          {names[4]} = Min({names[3]}, {high})
          {result} = Mul({names[4]}, {step})"""


FIRST = rounding("x", "a")
REWRITES = [
    Case(
        "a Transpose between",
        f"{GRAPH} {{ {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding('b', 'c')} z = Neg(c) }}",
        after=f"{GRAPH} {{ {FIRST} b = Transpose<perm = [1, 0]>(a) z = Neg(b) }}",
    ),
    Case(
        "one part of a Split, in another shape",
        f"""g (float[2,6] x) => (float[6] y, float[2,3] w) <{NUMBERS}, int64[1] shape = {{6}}> {{
          {FIRST}
          b, w = Split<axis = 1>(a)
          c = Reshape(b, shape)
          {rounding("c", "d")}
          y = Neg(d)
        }}""",
        opset=13,
        after=f"""g (float[2,6] x) => (float[6] y, float[2,3] w) <{NUMBERS}, int64[1] shape = {{6}}> {{
          {FIRST}
          b, w = Split<axis = 1>(a)
          c = Reshape(b, shape)
          y = Neg(c)
        }}""",
    ),
    Case(
        "whole numbers, multiplied and divided by the step",
        f"""g (float[2,3] x) => (float[2,3] y, float[2,3] z) <{NUMBERS}> {{
          a = Round(x)
          b = Clip(a, low, high)
          c = Mul(s, b)
          d = Div(c, s)
          e = Round(d)
          y = Neg(e)
          z = Neg(c)
        }}""",
        after=f"""g (float[2,3] x) => (float[2,3] y, float[2,3] z) <{NUMBERS}> {{
          a = Round(x)
          b = Clip(a, low, high)
          c = Mul(s, b)
          y = Neg(b)
          z = Neg(c)
        }}""",
    ),
]
LEFT_ALONE = [
    Case(
        "whole numbers of any size, fractions, and another step",
        f"""g (float[2,3] x) => (float[2,3] y, float[2,3] z, float[2,3] v) <{NUMBERS}, float t = {{0.05}}> {{
          a = Round(x)  b = Mul(s, a)  c = Div(b, s)  d = Round(c)  y = Neg(d)
          e = Clip(x, low, high)  f = Mul(s, e)  h = Div(f, s)  i = Round(h)  z = Neg(i)
          j = Clip(a, low, high)  k = Mul(s, j)  l = Div(k, t)  m = Round(l)  v = Neg(m)
        }}""",
    ),
    Case(
        "another step",
        f"""g (float[2,3] x) => (float[3,2] z) <{NUMBERS}, float t = {{0.05}}> {{
          {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding("b", "c", step="t")} z = Neg(c)
        }}""",
    ),
    Case(
        "another bound",
        f"""g (float[2,3] x) => (float[3,2] z) <{NUMBERS}, float top = {{120}}> {{
          {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding("b", "c", high="top")} z = Neg(c)
        }}""",
    ),
    Case(
        "an operator between that computes",
        f"{GRAPH} {{ {FIRST} m = Abs(a) b = Transpose<perm = [1, 0]>(m) {rounding('b', 'c')} z = Neg(c) }}",
    ),
    Case(
        "a Concat between, which adds elements",
        f"""g (float[2,3] x, float[2,3] e) => (float[2,6] z) <{NUMBERS}> {{
          {FIRST} b = Concat<axis = 1>(a, e) {rounding("b", "c")} z = Neg(c)
        }}""",
    ),
    Case(
        "a bound that is no whole number",
        f"""g (float[2,3] x) => (float[3,2] z) <float s = {{0.05}}, float low = {{-1}}, float high = {{1.5}}> {{
          {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding("b", "c")} z = Neg(c)
        }}""",
    ),
    Case(
        "a step below the normal numbers, where multiples are rounded by more",
        f"""g (float[2,3] x) => (float[3,2] z) <float s = {{1e-40}}, float low = {{-134}}, float high = {{121}}> {{
          {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding("b", "c")} z = Neg(c)
        }}""",
    ),
    Case(
        "the second rounding makes an output of the graph",
        f"{GRAPH} {{ {FIRST} b = Transpose<perm = [1, 0]>(a) {rounding('b', 'z')} }}",
    ),
    Case("rounded once", f"{GRAPH} {{ {FIRST} z = Transpose<perm = [1, 0]>(a) }}"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("step", [1.2e-38, 1e-7, 0.04942, 0.1, 3e33])
def test_every_multiple_keeps_its_bits(step: float) -> None:
    text = REWRITES[0].text.replace("0.04942", repr(step)).replace("[2,3]", "[1,520]").replace("[3,2]", "[520,1]")
    model = parse(text, 17)
    fixed, _ = surgery.fix_model(model, guard=False)
    whole = np.arange(-256, 256, dtype=np.float64)
    values = [*(whole + 0.3) * step, np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5 * step, -0.5 * step, 1.5 * step]
    feeds = {"x": np.array(values, np.float32)[None]}
    assert len(fixed.graph.node) == 8
    assert [value.tobytes() for value in run(fixed, feeds)] == [value.tobytes() for value in run(model, feeds)]
