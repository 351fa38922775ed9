"""SG002: Nodes whose outputs nothing reads."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG002"
REWRITES = [
    Case(
        "a dead chain",
        "g (float[2] x) => (float[2] y) { y = Relu(x)  a = Neg(x)  b = Abs(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
    Case(
        "inside a branch",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(x)  d = Exp(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
        after="""g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
    Case(
        "read by nothing but a branch that is not read",
        """g (float[2] x, bool c) => (float[2] y) {
          y = Relu(x)
          d = Exp(x)
          z = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(d) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
        after="g (float[2] x, bool c) => (float[2] y) { y = Relu(x) }",
    ),
]
LEFT_ALONE = [
    Case("one of its outputs is read", "g (float[4] x) => (float[2] y) <int64[1] k = {2}> { y, i = TopK(x, k) }"),
    Case(
        "a branch reads it",
        """g (float[2] x, bool c) => (float[2] y) {
          d = Exp(x)
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(d) },
            else_branch = e () => (float[2] b) { b = Neg(x) }
          >
        }""",
    ),
    Case(
        "an operator of an unknown domain may have effects",
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[2] x) => (float[2] y) { y = Relu(x)  z = own.Print(x) }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
