"""SG015: Tensors that have the name of another tensor in the same scope."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG015"
REWRITES = [
    Case(
        "two tensors of one name",
        "g (float[2] x) => (float[2] y) { a = Exp(x)  a = Neg(a)  y = Abs(a) }",
        after="g (float[2] x) => (float[2] y) { a = Exp(x)  a_1 = Neg(a)  y = Abs(a_1) }",
    ),
    Case(
        "three tensors of one name",
        "g (float[2] x) => (float[2] y) { a = Exp(x)  a = Neg(a)  a = Abs(a)  y = Relu(a) }",
        after="g (float[2] x) => (float[2] y) { a = Exp(x)  a_1 = Neg(a)  a_2 = Abs(a_1)  y = Relu(a_2) }",
    ),
]
LEFT_ALONE = [
    Case(
        "equal names in the two branches of an If",
        """g (float[2] x, bool c) => (float[2] y) {
          y = If(c)<
            then_branch = t () => (float[2] a) { a = Relu(x) },
            else_branch = e () => (float[2] a) { a = Neg(x) }
          >
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
