"""SG015: Tensors that have the name of another tensor in the same scope."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG015"
REWRITES = [
    Case(
        "two tensors of one name",
        "g (float[2] x) => (float[2] y) { a = Exp(x)  a = Neg(a)  y = Abs(a) }",
        after="g (float[2] x) => (float[2] y) { a = Exp(x)  a_1 = Neg(a)  y = Abs(a_1) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
