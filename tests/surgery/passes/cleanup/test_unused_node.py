"""SG002: Nodes whose outputs nothing reads."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG002"
REWRITES = [
    Case(
        "a dead chain",
        "g (float[2] x) => (float[2] y) { y = Relu(x)  a = Neg(x)  b = Abs(a) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
