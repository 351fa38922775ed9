"""SG131: Optional values that are known to be present or absent."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG131"
REWRITES = [
    Case(
        "has an element",
        "g (float[2] a) => (bool y) { o = Optional(a)  y = OptionalHasElement(o) }",
        after="g (float[2] a) => (bool y) <bool t0 = {1}> { y = Identity(t0) }",
        opset=18,
        gone=("Optional", "OptionalHasElement"),
    ),
    Case(
        "its element",
        "g (float[2] a) => (float[2] y) { o = Optional(a)  b = OptionalGetElement(o)  y = Relu(b) }",
        after="g (float[2] a) => (float[2] y) { b = Identity(a)  y = Relu(b) }",
        opset=18,
        gone=("Optional", "OptionalGetElement"),
    ),
    Case(
        "a tensor that is not optional",
        "g (float[2] a) => (bool y) { y = OptionalHasElement(a) }",
        after="g (float[2] a) => (bool y) <bool t0 = {1}> { y = Identity(t0) }",
        opset=18,
    ),
]
LEFT_ALONE = [
    Case("it may be empty", "g (optional(float[2]) a) => (bool y) { y = OptionalHasElement(a) }", opset=18),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
