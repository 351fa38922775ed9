"""SG017: Nodes that stand before the nodes whose outputs they read."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG017"
REWRITES = [
    Case(
        "out of order",
        "g (float[2] x) => (float[2] y) { y = Neg(a)  a = Exp(x) }",
        after="g (float[2] x) => (float[2] y) { a = Exp(x)  y = Neg(a) }",
    ),
    Case(
        "a subgraph reads what is made later",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] p) { p = Relu(a) },
            else_branch = e () => (float[2] q) { q = Neg(a) }
          >
          a = Exp(x)
        }""",
        after="""g (float[2] x, bool c) => (float[2] y) {
          a = Exp(x)
          y = If(c)<
            then_branch = t () => (float[2] p) { p = Relu(a) },
            else_branch = e () => (float[2] q) { q = Neg(a) }
          >
        }""",
    ),
]
LEFT_ALONE = [
    Case("the nodes are sorted", "g (float[2] x) => (float[2] y) { a = Exp(x)  y = Neg(a) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
