"""SG008: Initializers with the same values."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG008"
REWRITES = [
    Case(
        "equal values",
        """g (float[1] x) => (float[1] y) <float[1] a = {1}, float[1] b = {1}> {
          c = Add(x, a)
          y = Mul(c, b)
        }""",
        after="g (float[1] x) => (float[1] y) <float[1] a = {1}> { c = Add(x, a)  y = Mul(c, a) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
