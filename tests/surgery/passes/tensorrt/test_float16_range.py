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
