"""SG016: Nodes without a name."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG016"
REWRITES = [
    Case(
        "no names",
        "g (float[2] x) => (float[2] y) { y = Relu(x) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
