"""SG022: operands that change nothing: zeros that are added, ones that multiply."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, run, stays

CODE = "SG022"
REWRITES = [
    Case(
        "a bias of zero behind a product, a scale of one",
        """g (float[2,2] x) => (float[2,3] y)
        <float[2,3] w = {1, 2, 3, 4, 5, 6}, float[3] b = {0, 0, 0}, float[1] s = {1}> {
          a = MatMul(x, w)
          c = Add(b, a)
          y = Mul(s, c)
        }""",
        after="g (float[2,2] x) => (float[2,3] y) <float[2,3] w = {1, 2, 3, 4, 5, 6}> { y = MatMul(x, w) }",
    ),
    Case(
        "quotients, differences and negative zeros",
        """g (float[2] x) => (float[2] y) <float one = {1}, float[2] zero = {0, 0}, float[1] minus = {-0.0}> {
          a = Neg(x)
          b = Div(a, one)
          c = Sub(b, zero)
          d = Add(c, minus)
          y = Abs(d)
        }""",
        after="g (float[2] x) => (float[2] y) { a = Neg(x)  y = Abs(a) }",
    ),
    Case(
        "integers and truth values",
        """g (int64[2] x, bool[2] p) => (int64[2] y, bool[2] q) <int64 zero = {0}, bool[1] t = {1}, bool f = {0}> {
          a = Neg(x)
          b = Add(a, zero)
          y = Abs(b)
          n = Not(p)
          c = And(t, n)
          d = Or(c, f)
          q = Not(d)
        }""",
        after="g (int64[2] x, bool[2] p) => (int64[2] y, bool[2] q) { a = Neg(x)  y = Abs(a)  n = Not(p)  q = Not(n) }",
    ),
    Case(
        "a zero in front of products, for which 0.0 and -0.0 are the same",
        """g (float[2,2] x, float[2,2] w) => (float[2,2] y, float[2,2] z) <float zero = {0}> {
          a = Neg(x)
          b = Add(a, zero)
          y = MatMul(b, w)
          z = MatMul(w, b)
        }""",
        after="""g (float[2,2] x, float[2,2] w) => (float[2,2] y, float[2,2] z) {
          a = Neg(x)
          y = MatMul(a, w)
          z = MatMul(w, a)
        }""",
    ),
    Case(
        "a zero whose sign no output shows, several nodes later",
        """g (float[2,2] x) => (float[2,2] y) <float[2] zero = {0, 0}, float[2] one = {1, 1}> {
          a = Neg(x)
          b = Add(a, zero)
          c = Transpose(b)
          d = Mul(c, c)
          e = Add(d, one)
          f = Relu(b)
          g = LayerNormalization(f, one, zero)
          y = Add(g, e)
        }""",
        after="""g (float[2,2] x) => (float[2,2] y) <float[2] zero = {0, 0}, float[2] one = {1, 1}> {
          a = Neg(x)
          c = Transpose(a)
          d = Mul(c, c)
          e = Add(d, one)
          f = Relu(a)
          g = LayerNormalization(f, one, zero)
          y = Add(g, e)
        }""",
    ),
    Case(
        "a bias of zero behind a dynamically quantized product",
        """g (float[2,2] x, float[2,2] v) => (float[2,2] y)
        <int8[2,2] w = {1, -2, 3, 4}, int8 wz = {0}, float ws = {0.5}, float[2] b = {0, 0}> {
          q, s, z = DynamicQuantizeLinear(x)
          p = MatMulInteger(q, w, z, wz)
          f = Cast<to = 1>(p)
          t = Mul(s, ws)
          m = Mul(f, t)
          a = Add(b, m)
          y = MatMul(a, v)
        }""",
        after="""g (float[2,2] x, float[2,2] v) => (float[2,2] y)
        <int8[2,2] w = {1, -2, 3, 4}, int8 wz = {0}, float ws = {0.5}> {
          q, s, z = DynamicQuantizeLinear(x)
          p = MatMulInteger(q, w, z, wz)
          f = Cast<to = 1>(p)
          t = Mul(s, ws)
          m = Mul(f, t)
          y = MatMul(m, v)
        }""",
    ),
    Case(
        "a bias of zero and a scale of one in eight bits",
        """g (float[2,2] x) => (float[2,2] y)
        <uint8[2] b = {7, 7}, float s = {0.5}, uint8 z = {7}, int8[2,1] q = {1, 2}, float[2] t = {1, 0.5}> {
          a = Neg(x)
          c = DequantizeLinear(b, s, z)
          d = Add(a, c)
          e = DequantizeLinear<axis = 0>(q, t)
          f = Mul(e, d)
          y = Exp(f)
        }""",
        after="g (float[2,2] x) => (float[2,2] y) { a = Neg(x)  y = Exp(a) }",
    ),
]
LEFT_ALONE = [
    Case(
        "a constant that makes the result larger",
        """g (float[2,1] x) => (float[2,3] y) <float[3] one = {1, 1, 1}> {
          a = Neg(x)
          y = Mul(a, one)
        }""",
    ),
    Case(
        "a zero that turns -0.0 into 0.0",
        """g (float[2] x) => (float[2] y) <float zero = {0}> {
          a = Neg(x)
          b = Add(a, zero)
          y = Reciprocal(b)
        }""",
    ),
    Case(
        "a zero that turns -0.0 into 0.0 for a product and for another reader",
        """g (float[2,2] x, float[2,2] w) => (float[2,2] y, float[2,2] z) <float zero = {0}> {
          a = Neg(x)
          b = Add(a, zero)
          y = MatMul(b, w)
          z = Reciprocal(b)
        }""",
    ),
    Case(
        "a zero in front of a product, and an output",
        """g (float[2,2] x, float[2,2] w) => (float[2,2] y, float[2,2] b) <float zero = {0}> {
          a = Neg(x)
          b = Add(a, zero)
          y = MatMul(b, w)
        }""",
    ),
    Case(
        "a zero in front of the bias of a convolution",
        """g (float[1,1,4] x, float[2,1,3] w, float[2] c) => (float[1,2,2] y) <float zero = {0}> {
          a = Neg(c)
          b = Add(a, zero)
          y = Conv(x, w, b)
        }""",
    ),
    Case(
        "eight bits that are not zero, or whose scale is computed",
        """g (float[2] x, float s) => (float[2] y)
        <uint8[2] b = {7, 8}, uint8[2] o = {7, 7}, float t = {1}, uint8 z = {7}> {
          c = DequantizeLinear(b, t, z)
          d = Add(x, c)
          e = DequantizeLinear(o, s, z)
          f = Add(d, e)
          y = Exp(f)
        }""",
    ),
    Case(
        "subtraction of -0.0",
        """g (float[2] x) => (float[2] y) <float[1] zero = {-0.0}> {
          a = Neg(x)
          b = Sub(a, zero)
          y = Reciprocal(b)
        }""",
    ),
    Case(
        "division by the tensor and subtraction of it",
        """g (float[2] x) => (float[2] y) <float one = {1}, float zero = {0}> {
          a = Exp(x)
          b = Div(one, a)
          y = Sub(zero, b)
        }""",
    ),
    Case("between an input and an output", "g (float[2] x) => (float[2] y) <float one = {1}> { y = Mul(x, one) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_negative_zeros_stay_negative() -> None:
    model = parse(REWRITES[1].text.replace("y = Abs(d)", "y = Reciprocal(d)"), 17)
    fixed, _ = surgery.fix_model(model)
    feeds = {"x": np.array([0.0, -0.0], np.float32)}
    assert run(fixed, feeds)[0].tolist() == run(model, feeds)[0].tolist() == [-np.inf, np.inf]
