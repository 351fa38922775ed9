"""SG017: Nodes that stand before the nodes whose outputs they read."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG017"
REWRITES = [
    Case(
        "out of order",
        "g (float[2] x) => (float[2] y) { y = Neg(a)  a = Exp(x) }",
        after="g (float[2] x) => (float[2] y) { a = Exp(x)  y = Neg(a) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
