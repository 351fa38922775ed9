"""SG117: LayerNormalization whose mean or inverse deviation is read."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG117"
REWRITES = [
    Case(
        "mean is read",
        """g (float[2,4] x, float[4] s, float[4] b) => (float[2,4] y, float[2,1] m) {
          y, m = LayerNormalization<axis = 1>(x, s, b)
        }""",
        gone=("LayerNormalization",),
    ),
    Case(
        "the inverse deviation is read",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] d) {
          y, , d = LayerNormalization<axis = -1>(x, s)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "one output only", "g (float[2,4] x, float[4] s) => (float[2,4] y) { y = LayerNormalization<axis = 1>(x, s) }"
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
