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
]
LEFT_ALONE = [
    Case("a node has to make the output", "g (float[2] x) => (float y) { y = Constant<value_float = 1.0>() }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
