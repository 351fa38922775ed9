"""SG011: Two consecutive nodes whose work one node can do."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG011"
REWRITES = [
    Case(
        "Transposes",
        """g (float[2,3,4] x) => (float[4,2,3] y) {
          a = Transpose<perm = [0, 2, 1]>(x)  y = Transpose<perm = [1, 0, 2]>(a)
        }""",
        after="g (float[2,3,4] x) => (float[4,2,3] y) { y = Transpose<perm = [2, 0, 1]>(x) }",
    ),
    Case(
        "Reshapes",
        """g (float[6] x) => (float[3,2] y) <int64[2] s = {2, 3}, int64[2] t = {3, 2}> {
          a = Reshape(x, s)  y = Reshape(a, t)
        }""",
        after="g (float[6] x) => (float[3,2] y) <int64[2] t = {3, 2}> { y = Reshape(x, t) }",
    ),
    Case(
        "Reshapes that keep zeros, of which their shapes have none",
        """g (float[6] x) => (float[1,3,2] y) <int64[2] s = {2, -1}, int64[2] t = {3, 2}, int64[1] o = {0}> {
          a = Reshape<allowzero = 1>(x, s)  b = Reshape<allowzero = 1>(a, t)  y = Unsqueeze(b, o)
        }""",
        after="g (float[6] x) => (float[1,3,2] y) <int64[3] t = {1, 3, 2}> { y = Reshape(x, t) }",
    ),
    Case(
        "Casts that lose nothing",
        "g (float16[2] x) => (double[2] y) { a = Cast<to = 1>(x)  y = Cast<to = 11>(a) }",
        after="g (float16[2] x) => (double[2] y) { y = Cast<to = 11>(x) }",
    ),
    Case(
        "an Unsqueeze of a Reshape",
        """g (float[6] x) => (float[1,2,1,3] y) <int64[2] s = {2, -1}, int64[2] t = {0, -2}> {
          a = Reshape(x, s)  y = Unsqueeze(a, t)
        }""",
        after="g (float[6] x) => (float[1,2,1,3] y) <int64[4] t0 = {1, 2, 1, -1}> { y = Reshape(x, t0) }",
    ),
    Case(
        "Slices of different dims",
        """g (float[4,6] x) => (float[3,2] y)
        <int64[1] a = {1}, int64[1] e = {9}, int64[1] r = {0}, int64[1] b = {0}, int64[1] f = {4}, int64[1] c =
        {-1}, int64[1] s = {2}> {
          p = Slice(x, a, e, r)  y = Slice(p, b, f, c, s)
        }""",
        after="""g (float[4,6] x) => (float[3,2] y)
        <int64[2] t0 = {1, 0}, int64[2] t1 = {9, 4}, int64[2] t2 = {0, 1}, int64[2] t3 = {1, 2}> {
          y = Slice(x, t0, t1, t2, t3)
        }""",
    ),
    Case(
        "Reshape after Flatten, Squeeze and Unsqueeze",
        """g (float[2,1,3] x) => (float[3,2] y) <int64[2] s = {3, 2}, int64[1] one = {1}> {
          a = Squeeze(x, one)  b = Unsqueeze(a, one)  c = Flatten(b)  y = Reshape(c, s)
        }""",
        after="g (float[2,1,3] x) => (float[3,2] y) <int64[2] s = {3, 2}> { y = Reshape(x, s) }",
    ),
    Case(
        "a first Transpose that is an output",
        """g (float[2,3] x) => (float[2,3] y, float[3,2] a) {
          a = Transpose<perm = [1, 0]>(x)  y = Transpose<perm = [1, 0]>(a)
        }""",
        after="""g (float[2,3] x) => (float[2,3] y, float[3,2] a) {
          a = Transpose<perm = [1, 0]>(x)  y = Transpose<perm = [0, 1]>(x)
        }""",
    ),
    Case(
        "two Slices of the result of another",
        """g (float[4,6] x) => (float[3,2] y, float[3,4] z)
        <int64[1] a = {1}, int64[1] e = {4}, int64[1] r = {0}, int64[1] f = {2}, int64[1] c = {1}, int64[1] g = {6}> {
          p = Slice(x, a, e, r)  y = Slice(p, r, f, c)  z = Slice(p, f, g, c)
        }""",
        after="""g (float[4,6] x) => (float[3,2] y, float[3,4] z)
        <int64[2] t0 = {1, 0}, int64[2] t1 = {4, 2}, int64[2] t2 = {0, 1}, int64[2] t3 = {1, 2},
        int64[2] t4 = {4, 6}, int64[2] t5 = {0, 1}> {
          y = Slice(x, t0, t1, t2)  z = Slice(x, t3, t4, t5)
        }""",
    ),
    Case(
        "an integer type between for whole numbers that are clipped and without NaN",
        """g (float[4] x) => (float[4] y) <float low = {0}, float high = {255}> {
          r = Round(x)  g = Greater(r, low)  w = Where(g, r, low)  m = Min(w, high)  i = Cast<to = 6>(m)
          y = Cast<to = 1>(i)
        }""",
        after="""g (float[4] x) => (float[4] y) <float low = {0}, float high = {255}> {
          r = Round(x)  g = Greater(r, low)  w = Where(g, r, low)  m = Min(w, high)  y = Cast<to = 1>(m)
        }""",
    ),
    Case(
        "an integer type between for exact sums of bytes",
        """g (uint8[2,3] x) => (float[2,2] y) <int8[3,2] b = {1, -2, 3, 4, 5, 6}> {
          a = Cast<to = 1>(x)  w = Cast<to = 1>(b)  p = MatMul(a, w)  i = Cast<to = 6>(p)  y = Cast<to = 1>(i)
        }""",
        after="""g (uint8[2,3] x) => (float[2,2] y) <int8[3,2] b = {1, -2, 3, 4, 5, 6}> {
          a = Cast<to = 1>(x)  w = Cast<to = 1>(b)  p = MatMul(a, w)  y = Cast<to = 1>(p)
        }""",
    ),
    Case(
        "an integer type between for rounded sums, which are whole too",
        """g (int16[2,5] x) => (float[2,1] y) <int8[5,1] b = {127, -127, 127, 127, 127}> {
          a = Cast<to = 1>(x)  w = Cast<to = 1>(b)  p = MatMul(a, w)  i = Cast<to = 6>(p)  y = Cast<to = 1>(i)
        }""",
        after="""g (int16[2,5] x) => (float[2,1] y) <int8[5,1] b = {127, -127, 127, 127, 127}> {
          a = Cast<to = 1>(x)  w = Cast<to = 1>(b)  p = MatMul(a, w)  y = Cast<to = 1>(p)
        }""",
    ),
    Case(
        "an integer type between for numbers less a clipped number that may be NaN",
        """g (uint8[n] x, float[1] z) => (float[n] y) <float low = {0}, float high = {255}> {
          a = Cast<to = 1>(x)  c = Clip(z, low, high)  r = Round(c)  k = Cast<to = 6>(r)  f = Cast<to = 1>(k)
          s = Sub(a, f)  i = Cast<to = 6>(s)  y = Cast<to = 1>(i)
        }""",
        after="""g (uint8[n] x, float[1] z) => (float[n] y) <float low = {0}, float high = {255}> {
          a = Cast<to = 1>(x)  c = Clip(z, low, high)  r = Round(c)  k = Cast<to = 6>(r)  f = Cast<to = 1>(k)
          s = Sub(a, f)  y = Cast<to = 1>(s)
        }""",
    ),
    Case(
        "Slices with and without steps",
        """g (float[4,6] x) => (float[2,3] y)
        <int64[1] a = {0}, int64[1] e = {9}, int64[1] r = {0}, int64[1] s = {2}, int64[1] f = {3},
        int64[1] c = {1}> {
          p = Slice(x, a, e, r, s)  y = Slice(p, a, f, c, c)
        }""",
        after="""g (float[4,6] x) => (float[2,3] y)
        <int64[2] t0 = {0, 0}, int64[2] t1 = {9, 3}, int64[2] t2 = {0, 1}, int64[2] t3 = {2, 1}> {
          y = Slice(x, t0, t1, t2, t3)
        }""",
    ),
    Case(
        "integers to wider integers",
        "g (uint8[2] x) => (int64[2] y) { a = Cast<to = 6>(x)  y = Cast<to = 7>(a) }",
        after="g (uint8[2] x) => (int64[2] y) { y = Cast<to = 7>(x) }",
    ),
    Case(
        "an Unsqueeze in opset 11",
        """g (float[6] x) => (float[1,2,3] y) <int64[2] s = {2, -1}> {
          a = Reshape(x, s)  y = Unsqueeze<axes = [0]>(a)
        }""",
        after="g (float[6] x) => (float[1,2,3] y) <int64[3] t0 = {1, 2, -1}> { y = Reshape(x, t0) }",
        opset=11,
    ),
]
LEFT_ALONE = [
    Case("the first Cast loses bits", "g (float[2] x) => (float[2] y) { a = Cast<to = 10>(x)  y = Cast<to = 1>(a) }"),
    Case(
        "the Reshape before the Unsqueeze copies a dim",
        """g (float[2,3] x) => (float[1,2,3] y) <int64[2] s = {0, -1}, int64[1] t = {0}> {
          a = Reshape(x, s)  y = Unsqueeze(a, t)
        }""",
    ),
    Case(
        "the Reshape before the Unsqueeze is read elsewhere",
        """g (float[6] x) => (float[1,2,3] y, float[2,3] z) <int64[2] s = {2, -1}, int64[1] t = {0}> {
          a = Reshape(x, s)  y = Unsqueeze(a, t)  z = Neg(a)
        }""",
    ),
    Case(
        "both Slices cut the same dim",
        """g (float[6] x) => (float[2] y) <int64[1] a = {1}, int64[1] e = {5}, int64[1] r = {0}> {
          p = Slice(x, a, e, r)  q = Slice(p, a, e, r)  y = Neg(q)
        }""",
    ),
    Case(
        "the last Reshape copies a dim",
        """g (float[6] x) => (float[2,3] y) <int64[2] s = {2, 3}, int64[2] t = {0, -1}> {
          a = Reshape(x, s)  y = Reshape(a, t)
        }""",
    ),
    Case(
        "the last Reshape keeps zeros",
        """g (float[0] x) => (float[3,0] y) <int64[2] s = {0, 2}, int64[2] t = {3, 0}> {
          a = Reshape(x, s)  y = Reshape<allowzero = 1>(a, t)
        }""",
    ),
    Case(
        "the last shape is computed",
        """g (float[6] x, int64[2] t) => (float[a,b] y) <int64[2] s = {2, 3}> {
          a = Reshape(x, s)  y = Reshape(a, t)
        }""",
    ),
    Case("a float goes to an integer", "g (float16[2] x) => (int32[2] y) { a = Cast<to = 1>(x)  y = Cast<to = 6>(a) }"),
    Case("64 bits do not fit a double", "g (int64[2] x) => (float[2] y) { a = Cast<to = 11>(x)  y = Cast<to = 1>(a) }"),
    Case("a boolean in between", "g (float[2] x) => (float[2] y) { a = Cast<to = 9>(x)  y = Cast<to = 1>(a) }"),
    Case(
        "the first bounds are computed",
        """g (float[4,6] x, int64[1] a) => (float[k,2] y)
        <int64[1] e = {9}, int64[1] r = {0}, int64[1] f = {2}, int64[1] c = {1}> {
          p = Slice(x, a, e, r)  y = Slice(p, r, f, c)
        }""",
    ),
    Case(
        "the first Slice has steps and the second has none",
        """g (float[4,6] x) => (float[2,2] y)
        <int64[1] a = {0}, int64[1] e = {9}, int64[1] r = {0}, int64[1] s = {2}, int64[1] f = {2},
        int64[1] c = {1}> {
          p = Slice(x, a, e, r, s)  y = Slice(p, a, f, c)
        }""",
    ),
    Case(
        "whole numbers that may be NaN",
        """g (float[4] x) => (float[4] y) <float high = {255}> {
          r = Round(x)  m = Min(r, high)  i = Cast<to = 6>(m)  y = Cast<to = 1>(i)
        }""",
        inputs={"x": np.array([1, 2, 3, 4], np.float32)},
    ),
    Case(
        "whole numbers of which one may be -0.0",
        """g (float[4] x) => (float[4] y) <float low = {-5}, float high = {255}> {
          r = Round(x)  g = Greater(r, low)  w = Where(g, r, low)  m = Min(w, high)  i = Cast<to = 6>(m)
          y = Cast<to = 1>(i)
        }""",
    ),
    Case(
        "sums that int32 may not hold",
        """g (int16[2,3] x, int16[3,2] b) => (float[2,2] y) {
          a = Cast<to = 1>(x)  w = Cast<to = 1>(b)  p = MatMul(a, w)  i = Cast<to = 6>(p)  y = Cast<to = 1>(i)
        }""",
    ),
    Case(
        "whole numbers beyond the type between",
        """g (float[4] x) => (float[4] y) <float low = {0}, float high = {255}> {
          r = Round(x)  g = Greater(r, low)  w = Where(g, r, low)  m = Min(w, high)  i = Cast<to = 3>(m)
          y = Cast<to = 1>(i)
        }""",
    ),
    Case(
        "another Slice cuts the dim of the first",
        """g (float[4,6] x) => (float[3,2] y, float[2,6] z)
        <int64[1] a = {1}, int64[1] e = {4}, int64[1] r = {0}, int64[1] f = {2}, int64[1] c = {1}> {
          p = Slice(x, a, e, r)  y = Slice(p, r, f, c)  z = Slice(p, a, e, r)
        }""",
    ),
    Case(
        "the first Slice is read elsewhere",
        """g (float[4,6] x) => (float[3,2] y, float[3,6] z)
        <int64[1] a = {1}, int64[1] e = {9}, int64[1] r = {0}, int64[1] f = {2}, int64[1] c = {1}> {
          p = Slice(x, a, e, r)  y = Slice(p, r, f, c)  z = Neg(p)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
