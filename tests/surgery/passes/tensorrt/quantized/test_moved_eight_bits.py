"""SG189: eight-bit numbers with a zero point that are moved between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, operators, parse, run, stays
from tests.surgery.passes.contrib import accepted

CODE = "SG189"
STORED = "float s = {0.02}, uint8 z = {37}, float t = {0.5}, uint8 other = {38}"
HEAD = f"g (float[2,4] x) => (float[4,2] y) <{STORED}>"
Q = "q = QuantizeLinear(x, s, z)"
REWRITES = [
    Case(
        "a Transpose",
        f"{HEAD} {{ {Q} m = Transpose(q) d = DequantizeLinear(m, s, z) y = Exp(d) }}",
        after=f"""g (float[2,4] x) => (float[4,2] y) <{STORED}, float c = {{0.02}}> {{
          {Q} d = DequantizeLinear(q, c, z) m = Transpose(d) y = Exp(m)
        }}""",
    ),
    Case(
        "two scales behind a chain of moves, and an output",
        f"""g (float[2,4] x) => (float[4,2] y, float[4,2] v) <{STORED}, int64[2] shape = {{4, 2}}> {{
          {Q} a = Transpose(q) m = Reshape(a, shape)
          d = DequantizeLinear(m, s, z) y = Exp(d) v = DequantizeLinear(m, t, z)
        }}""",
        after=f"""g (float[2,4] x) => (float[4,2] y, float[4,2] v)
        <{STORED}, int64[2] shape = {{4, 2}}, float one = {{1}}, float u = {{0.02}}, float w = {{0.5}}> {{
          {Q} d = DequantizeLinear(q, one, z) a = Transpose(d) m = Reshape(a, shape)
          e = Mul(m, u) y = Exp(e) v = Mul(m, w)
        }}""",
    ),
    Case(
        "both parts of a Split",
        f"""g (float[2,4] x) => (float[2,2] y) <{STORED}> {{
          {Q} a, b = Split<axis = 1>(q) c = DequantizeLinear(a, s, z) d = DequantizeLinear(b, s, z) y = Div(c, d)
        }}""",
        opset=13,
        after=f"""g (float[2,4] x) => (float[2,2] y) <{STORED}, float u = {{0.02}}> {{
          {Q} f = DequantizeLinear(q, u, z) a, b = Split<axis = 1>(f) y = Div(a, b)
        }}""",
    ),
]
LEFT_ALONE = [
    Case("nothing between", f"{HEAD} {{ {Q} d = DequantizeLinear(q, s, z) y = Transpose(d) }}"),
    Case(
        "numbers from elsewhere",
        f"""g (uint8[2,4] q) => (float[4,2] y) <{STORED}> {{
          m = Transpose(q) d = DequantizeLinear(m, s, z) y = Exp(d)
        }}""",
    ),
    Case(
        "another node reads the moved numbers",
        f"""g (float[2,4] x) => (float[4,2] y, int32[4,2] i) <{STORED}> {{
          {Q} m = Transpose(q) d = DequantizeLinear(m, s, z) y = Exp(d) i = Cast<to = 6>(m)
        }}""",
    ),
    Case(
        "the moved numbers are an output",
        f"""g (float[2,4] x) => (float[4,2] y, uint8[4,2] m) <{STORED}> {{
          {Q} m = Transpose(q) d = DequantizeLinear(m, s, z) y = Exp(d)
        }}""",
    ),
    Case(
        "two zero points",
        f"""g (float[2,4] x) => (float[4,2] y) <{STORED}> {{
          {Q} m = Transpose(q) c = DequantizeLinear(m, s, z) d = DequantizeLinear(m, s, other) y = Div(c, d)
        }}""",
    ),
    Case(
        "around 0, where TensorRT takes the numbers",
        """g (float[2,4] x) => (float[4,2] y) <float s = {0.02}, int8 z = {0}> {
          q = QuantizeLinear(x, s, z) m = Transpose(q) d = DequantizeLinear(m, s, z) y = Exp(d)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_no_eight_bits_are_left_and_every_bit_stays(case: Case) -> None:
    model = parse(case.text, case.opset)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert not {"QuantizeLinear", "DequantizeLinear", "Cast"} & operators(fixed)
    feeds = {"x": np.float32([[np.nan, np.inf, -np.inf, 0.01], [0.0, -0.0, 99, -99]])}
    for wanted, got in zip(run(model, feeds), run(fixed, feeds), strict=True):
        assert wanted.tobytes() == got.tobytes()


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_tensorrt_builds_the_result(case: Case) -> None:
    accepted(case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
