"""SG190: rounding with a zero point, between QuantizeLinear and DequantizeLinear, in floating point."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, operators, parse, run, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG190"
U = "float s = {0.02}, uint8 z = {37}"
I = "float s = {0.02}, int8 z = {-21}"  # noqa: E741
READ = "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)"
REWRITES = [
    Case(
        "uint8",
        f"g (float[N,8] x) => (float[N,8] y) <{U}> {{ {READ} y = Sigmoid(d) }}",
        after="""g (float[N,8] x) => (float[N,8] y)
        <float s = {0.02}, float low = {-37}, float low2 = {-37}, float high = {218}, float t = {0.02}> {
          v = Div(x, s)
          w = Round(v)
          g = Greater(w, low)
          a = Where(g, w, low2)
          m = Min(a, high)
          d = Mul(m, t)
          y = Sigmoid(d)
        }""",
        gone=("QuantizeLinear", "DequantizeLinear"),
    ),
    Case(
        "int8, and an output that shows the sign of a zero",
        f"g (float[N,8] x) => (float[N,8] d) <{I}> {{ {READ} }}",
        after="""g (float[N,8] x) => (float[N,8] d)
        <float s = {0.02}, float o = {0}, float low = {-107}, float low2 = {-107}, float high = {148}, float t = {0.02}>
        {
          v = Div(x, s)
          w = Round(v)
          p = Add(w, o)
          g = Greater(p, low)
          a = Where(g, p, low2)
          m = Min(a, high)
          d = Mul(m, t)
        }""",
        gone=("QuantizeLinear", "DequantizeLinear"),
    ),
    Case(
        "read with two scales by a product in floating point and a sum",
        """g (float[N,4] x) => (float[N,4] y) <float s = {0.02}, float t = {0.5}, uint8 z = {0}> {
          q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) e = DequantizeLinear(q, t, z)
          c = ReduceMean<keepdims = 1, axes = [0]>(d) f = Mul(c, e) y = Add(d, f)
        }""",
        gone=("QuantizeLinear", "DequantizeLinear"),
    ),
]
LEFT_ALONE = [
    Case("around 0", f"g (float[8] x) => (float[8] y) <float s = {{0.02}}, int8 z = {{0}}> {{ {READ} y = Relu(d) }}"),
    Case(
        "nothing reads the numbers",
        f"""g (float[8] x) => (float[8] y) <{U}> {{
          q = QuantizeLinear(x, s, z) y = Relu(x)
        }}""",
    ),
    Case("the numbers are an output", f"g (float[8] x) => (uint8[8] q, float[8] d) <{U}> {{ {READ} }}"),
    Case(
        "another node reads the numbers",
        f"g (float[8] x) => (float[8] y, int32[8] i) <{U}> {{ {READ} y = Relu(d) i = Cast<to = 6>(q) }}",
    ),
    Case(
        "a scale for each channel",
        """g (float[2,8] x) => (float[2,8] y) <float[8] s = {1,2,3,4,5,6,7,8}, uint8[8] z = {1,2,3,4,5,6,7,8}> {
          q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_every_bit_stays(case: Case) -> None:
    model = parse(case.text.replace("N,4", "64,4").replace("N,8", "64,8"), case.opset)
    fixed, _ = surgery.fix_model(model, guard=False)
    values = np.random.default_rng(0).normal(size=64 * int(case.text[11])).astype(np.float32) * 3
    values[:9] = np.inf, -np.inf, np.nan, 0.0, -0.0, -0.001, 0.01, -0.01, 0.03
    feeds = {"x": values.reshape(64, -1)}
    for wanted, got in zip(run(model, feeds), run(fixed, feeds), strict=True):
        assert wanted.tobytes() == got.tobytes()


def test_a_product_in_floating_point_where_the_pass_for_int8_is_left_out() -> None:
    text = f"""g (float[N,4] x) => (float[N,2] y) <{U}, int8[4,2] w = {{1, 2, 3, 4, 5, 6, 7, 8}}, float t = {{0.1}}> {{
      {READ} f = DequantizeLinear(w, t) y = MatMul(d, f)
    }}"""
    model = parse(text, 17)
    fixed, report = surgery.fix_model(model, ignore=("SG198",), guard=False)
    assert CODE in {finding.code for finding in report.findings}
    assert "QuantizeLinear" not in operators(fixed)
    feeds = {"x": np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)}
    assert run(model, feeds)[0].tobytes() == run(fixed, feeds)[0].tobytes()


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
