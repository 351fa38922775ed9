"""SG016: Nodes without a name."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG016"
REWRITES = [
    Case(
        "no names",
        "g (float[2] x) => (float[2] y) { y = Relu(x) }",
        after="g (float[2] x) => (float[2] y) { y = Relu(x) }",
    ),
]
LEFT_ALONE = [
    Case("every node has a name", "g (float[2] x) => (float[2] y) { [first] a = Exp(x)  [second] y = Relu(a) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
