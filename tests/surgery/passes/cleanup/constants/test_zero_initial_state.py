"""SG025: an initial state of zeros that LSTM, GRU or RNN computes with at every run."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, run, stays

CODE = "SG025"
LSTM = "g (float[5,n,3] x, float[1,8,3] w) => (float[5,1,n,2] y)"
R = "float[1,8,2] r = {0.5, -1, 0.25, 2, 0.5, -1, 0.25, 2, 0.5, -1, 0.25, 2, 0.5, -1, 0.25, 2}"
B = "float[1,16] b = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}"
P = "float[1,6] p = {1, 2, 3, 4, 5, 6}"
SIZES = "int64[1] one = {1}, int64[1] two = {2}"
ZEROS = "s = Shape<start = 1, end = 2>(x)  d = Concat<axis = 0>(one, s, two)  h = ConstantOfShape(d)"
REWRITES = [
    Case(
        "both states of LSTM are one ConstantOfShape",
        f"{LSTM} <{R}, {SIZES}> {{ {ZEROS}  y = LSTM<hidden_size = 2>(x, w, r, , , h, h) }}",
        after=f"{LSTM} <{R}> {{ y = LSTM<hidden_size = 2>(x, w, r) }}",
    ),
    Case(
        "zeros that are expanded, behind a bias and in front of peepholes",
        f"""{LSTM} <{R}, {B}, {P}, {SIZES}, float zero = {{0}}> {{
          s = Shape<start = 1, end = 2>(x)
          d = Concat<axis = 0>(one, s, two)
          h = Expand(zero, d)
          c = Identity(h)
          y = LSTM<hidden_size = 2>(x, w, r, b, , h, c, p)
        }}""",
        after=f"{LSTM} <{R}, {B}, {P}> {{ y = LSTM<hidden_size = 2>(x, w, r, b, , , , p) }}",
    ),
    Case(
        "only the cell state is zero",
        f"""g (float[5,n,3] x, float[1,8,3] w, float[1,n,2] h) => (float[5,1,n,2] y) <{R}, {SIZES}> {{
          s = Shape<start = 1, end = 2>(x)
          d = Concat<axis = 0>(one, s, two)
          c = ConstantOfShape<value = float[1] {{0}}>(d)
          y = LSTM<hidden_size = 2>(x, w, r, , , h, c)
        }}""",
        after=f"""g (float[5,n,3] x, float[1,8,3] w, float[1,n,2] h) => (float[5,1,n,2] y) <{R}> {{
          y = LSTM<hidden_size = 2>(x, w, r, , , h)
        }}""",
    ),
    Case(
        "GRU, a state that is cut out of zeros",
        """g (float[5,n,3] x, float[1,3,3] w) => (float[5,1,n,1] y)
        <float[1,3,1] r = {0.5, -1, 2}, int64[1] one = {1}, int64[1] two = {2}, int64[1] a = {0}> {
          s = Shape<start = 1, end = 2>(x)
          d = Concat<axis = 0>(two, s, one)
          z = ConstantOfShape(d)
          h = Slice(z, one, two, a)
          y = GRU<hidden_size = 1>(x, w, r, , , h)
        }""",
        after="""g (float[5,n,3] x, float[1,3,3] w) => (float[5,1,n,1] y) <float[1,3,1] r = {0.5, -1, 2}> {
          y = GRU<hidden_size = 1>(x, w, r)
        }""",
    ),
    Case(
        "RNN",
        f"""g (float[5,n,3] x, float[1,2,3] w) => (float[5,1,n,2] y) <float[1,2,2] r = {{0.5, -1, 0.25, 2}}, {SIZES}> {{
          {ZEROS}
          y = RNN<hidden_size = 2>(x, w, r, , , h)
        }}""",
        after="""g (float[5,n,3] x, float[1,2,3] w) => (float[5,1,n,2] y) <float[1,2,2] r = {0.5, -1, 0.25, 2}> {
          y = RNN<hidden_size = 2>(x, w, r)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "a state of ones",
        f"""{LSTM} <{R}, {SIZES}> {{
          s = Shape<start = 1, end = 2>(x)
          d = Concat<axis = 0>(one, s, two)
          h = ConstantOfShape<value = float[1] {{1}}>(d)
          y = LSTM<hidden_size = 2>(x, w, r, , , h, h)
        }}""",
    ),
    Case(
        "a state of negative zeros",
        f"""{LSTM} <{R}, {SIZES}, float zero = {{-0.0}}> {{
          s = Shape<start = 1, end = 2>(x)
          d = Concat<axis = 0>(one, s, two)
          h = Expand(zero, d)
          y = LSTM<hidden_size = 2>(x, w, r, , , h, h)
        }}""",
    ),
    Case(
        "zeros that are multiplied, because the factor may be infinite",
        f"""g (float[5,n,3] x, float[1,8,3] w, float f) => (float[5,1,n,2] y) <{R}, {SIZES}> {{
          {ZEROS}
          c = Mul(h, f)
          y = LSTM<hidden_size = 2>(x, w, r, , , c, c)
        }}""",
    ),
    Case(
        "a recurrence that may be infinite, because zero times infinity is NaN",
        f"""g (float[5,n,3] x, float[1,2,3] w, float[1,2,2] r) => (float[5,1,n,2] y) <{SIZES}> {{
          {ZEROS}
          y = RNN<hidden_size = 2>(x, w, r, , , h)
        }}""",
    ),
    Case(
        "peepholes that may be infinite",
        f"""g (float[5,n,3] x, float[1,8,3] w, float[1,6] p) => (float[5,1,n,2] y) <{R}, {SIZES}> {{
          {ZEROS}
          y = LSTM<hidden_size = 2>(x, w, r, , , h, h, p)
        }}""",
    ),
    Case(
        "a state that the caller gives",
        f"""g (float[5,2,3] x, float[1,8,3] w, float[1,2,2] h) => (float[5,1,2,2] y) <{R}> {{
          y = LSTM<hidden_size = 2>(x, w, r, , , h, h)
        }}""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


@pytest.mark.parametrize("batch", [1, 4])
def test_every_batch_size_keeps_its_values(batch: int) -> None:
    model = parse(REWRITES[0].text, 17)
    fixed, _ = surgery.fix_model(model)
    chance = np.random.default_rng(batch)
    shapes = {"x": (5, batch, 3), "w": (1, 8, 3)}
    feeds = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    assert len(fixed.graph.node) == 1
    assert [value.tobytes() for value in run(fixed, feeds)] == [value.tobytes() for value in run(model, feeds)]
