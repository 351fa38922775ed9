"""SG106: Range in float16."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG106"
REWRITES = [
    Case(
        "five halves",
        """g (float16[4] x) => (float16[4] y) <float16[1] a = {15360}, float16[1] d = {14336}, int64[0] s = {}> {
          p = Reshape(a, s)
          q = Reshape(d, s)
          b = ReduceMax<keepdims = 0>(x)
          r = Range(p, b, q)
          y = Add(x, r)
        }""",
        opset=27,
        inputs={"x": [1, 2, 3, 2.6]},
    ),
    Case(
        "downwards",
        "g (float16 a, float16 b) => (float16[n] r) <float16 d = {47104}> { r = Range(a, b, d) }",
        after="""g (float16 a, float16 b) => (float16[n] r) <float t0 = {-0.5}> {
          t1 = Cast<to = 1>(a)
          t2 = Cast<to = 1>(b)
          t3 = Range(t1, t2, t0)
          r = Cast<to = 10>(t3)
        }""",
        opset=27,
        inputs={"a": 3.0, "b": 1.0},
    ),
    Case(
        "nothing to count",
        "g (float16 a, float16 b) => (float16[n] r) <float16 d = {15360}> { r = Range(a, b, d) }",
        after="""g (float16 a, float16 b) => (float16[n] r) <float t0 = {1}> {
          t1 = Cast<to = 1>(a)
          t2 = Cast<to = 1>(b)
          t3 = Range(t1, t2, t0)
          r = Cast<to = 10>(t3)
        }""",
        opset=27,
        inputs={"a": 3.0, "b": 1.0},
    ),
]
LEFT_ALONE = [
    Case("it counts in float32", "g (float b) => (float[n] y) <float a = {1}> { y = Range(a, b, a) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
