"""SG142: Col2Im, which adds overlapping patches into an image."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG142"
REWRITES = [
    Case(
        "one row after another",
        """g (float[1,5,5] x) => (float[1,1,5,5] y) <int64[2] i = {5, 5}, int64[2] b = {1, 5}> {
          y = Col2Im(x, i, b)
        }""",
        opset=18,
        gone=("Col2Im",),
    ),
]


CASES = [
    ("[2,18,12]", "5, 6", "3, 3", ""),
    ("[1,8,9]", "6, 6", "2, 2", "strides = [2, 2]"),
    ("[1,9,16]", "6, 6", "3, 3", "dilations = [2, 2], pads = [1, 1, 1, 1]"),
    ("[1,4,12]", "6, 4", "2, 2", "pads = [2, 0, 1, 1], strides = [2, 1], dilations = [1, 2]"),
]


@pytest.mark.parametrize(("shape", "image", "block", "more"), CASES)
def test_sums(shape: str, image: str, block: str, more: str) -> None:
    sizes = [int(size) for size in shape.strip("[]").split(",")]
    text = (
        f"g (float{shape} x) => (float[a,b,c,d] y) <int64[2] image = {{{image}}}, int64[2] block = {{{block}}}>"
        f" {{ y = Col2Im{f'<{more}>' if more else ''}(x, image, block) }}"
    )
    values = np.random.default_rng(0).standard_normal(sizes).astype(np.float32)
    fixed = same(text, 18, "SG142", [{"x": values}])
    assert "Col2Im" not in operators(fixed)


def test_left_alone() -> None:
    left_alone(
        "g (float[1,5,5] x, int64[2] image, int64[2] block) => (float[1,1,5,5] y) { y = Col2Im(x, image, block) }",
        18,
        "SG142",
    )
    left_alone(
        "g (float[1,5,n] x) => (float[1,1,5,5] y) <int64[2] image = {5, 5}, int64[2] block = {1, 5}>"
        " { y = Col2Im(x, image, block) }",
        18,
        "SG142",
    )


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
