"""SG004: Constants that are stored as nodes."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG004"
REWRITES = [
    Case(
        "read by a node",
        "g (float[2] x) => (float[2] y) { c = Constant<value_floats = [1.0, 2.0]>()  y = Add(x, c) }",
        after="g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> { y = Add(x, c) }",
    ),
    Case(
        "a list of integers",
        "g (float[2] x) => (float[1,2] y) { s = Constant<value_ints = [1, 2]>()  y = Reshape(x, s) }",
        after="g (float[2] x) => (float[1,2] y) <int64[2] s = {1, 2}> { y = Reshape(x, s) }",
    ),
    Case(
        "one number",
        "g (float[2] x) => (float[2] y) { c = Constant<value_float = 0.5>()  y = Mul(x, c) }",
        after="g (float[2] x) => (float[2] y) <float c = {0.5}> { y = Mul(x, c) }",
    ),
    Case(
        "a tensor that a subgraph reads",
        """g (float[2] x, bool b) => (float[2] y) {
          c = Constant<value = float[2] {1, 2}>()
          y = If(b)<
            then_branch = t () => (float[2] p) { p = Add(x, c) },
            else_branch = e () => (float[2] q) { q = Sub(x, c) }
          >
        }""",
        after="""g (float[2] x, bool b) => (float[2] y) <float[2] c = {1, 2}> {
          y = If(b)<
            then_branch = t () => (float[2] p) { p = Add(x, c) },
            else_branch = e () => (float[2] q) { q = Sub(x, c) }
          >
        }""",
    ),
    Case(
        "inside a subgraph",
        """g (float[2] x, bool b) => (float[2] y) {
          y = If(b)<
            then_branch = t () => (float[2] p) { c = Constant<value = float[2] {1, 2}>()  p = Add(x, c) },
            else_branch = e () => (float[2] q) { q = Neg(x) }
          >
        }""",
        after="""g (float[2] x, bool b) => (float[2] y) {
          y = If(b)<
            then_branch = t () => (float[2] p) <float[2] c = {1, 2}> { p = Add(x, c) },
            else_branch = e () => (float[2] q) { q = Neg(x) }
          >
        }""",
    ),
]
LEFT_ALONE = [
    Case("a node has to make the output", "g (float[2] x) => (float y) { y = Constant<value_float = 1.0>() }"),
    Case(
        "it holds a string",
        """g (float[2] x) => (float[2] y, bool[1] z) {
          c = Constant<value_strings = ["a"]>()
          y = Neg(x)
          z = Equal(c, c)
        }""",
    ),
    Case(
        "it is of another domain",
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[2] x) => (float[2] y) { c = own.Constant<value_float = 1.0>()  y = Add(x, c) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
