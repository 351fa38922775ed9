"""SG133: Optional outputs that nothing reads."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG133"
REWRITES = [
    Case(
        "mean is not read",
        """g (float[2,4] x, float[4] s, float[4] b) => (float[2,4] y) {
          y, m, d = LayerNormalization<axis = 1>(x, s, b)
        }""",
        after="""g (float[2,4] x, float[4] s, float[4] b) => (float[2,4] y) {
          y = LayerNormalization<axis = 1>(x, s, b)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "all outputs are read",
        """g (float[2,4] x, float[4] s) => (float[2,4] y, float[2,1] m, float[2,1] d) {
          y, m, d = LayerNormalization<axis = 1>(x, s)
        }""",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
