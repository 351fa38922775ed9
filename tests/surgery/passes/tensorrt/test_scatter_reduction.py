"""SG140: ScatterND and ScatterElements with a reduction: add, mul, max or min."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG140"
REWRITES = [
    Case(
        "add along rows, doubled indices",
        """g (float[3,2] x, int64[3,1] i, float[3,2] u) => (float[3,2] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[0], [2], [0]]},
    ),
    Case(
        "largest element along an axis",
        """g (float[2,4] x, int64[2,3] i, float[2,3] u) => (float[2,4] y) {
          y = ScatterElements<axis = 1, reduction = "max">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterElements",),
        inputs={"i": [[0, 3, 0], [-1, 1, 1]]},
    ),
]
LEFT_ALONE = [
    Case(
        "it overwrites", "g (float[4] x, int64[2,1] i, float[2] u) => (float[4] y) { y = ScatterND(x, i, u) }", opset=18
    ),
    Case(
        "sizes are not known",
        """g (float[n] x, int64[2,1] i, float[2] u) => (float[n] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
