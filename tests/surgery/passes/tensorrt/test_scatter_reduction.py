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
    Case(
        "smallest element with negative indices",
        """g (float[3,2] x, int64[2,2] i, float[2,2] u) => (float[3,2] y) {
          y = ScatterElements<reduction = "min">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterElements",),
        inputs={"i": [[-1, 0], [2, -2]]},
    ),
    Case(
        "product over whole places",
        """g (float[2,3] x, int64[2,2] i, float[2] u) => (float[2,3] y) {
          y = ScatterND<reduction = "mul">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[0, -1], [0, 2]]},
    ),
    Case(
        "largest integer",
        """g (int32[4] x, int64[2,1] i, int32[2] u) => (int32[4] y) {
          y = ScatterND<reduction = "max">(x, i, u)
        }""",
        opset=18,
        gone=("ScatterND",),
        inputs={"i": [[3], [3]], "x": [-5, -6, -7, -8], "u": [-100, -1]},
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
    Case(
        "integers are multiplied in floating point by onnxruntime",
        """g (int32[4] x, int64[2,1] i, int32[2] u) => (int32[4] y) {
          y = ScatterND<reduction = "mul">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "updates are narrower than the data",
        """g (float[2,4] x, int64[1,3] i, float[1,3] u) => (float[2,4] y) {
          y = ScatterElements<axis = 1, reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "there are no indices",
        """g (float[4] x, int64[0,1] i, float[0] u) => (float[4] y) {
          y = ScatterND<reduction = "add">(x, i, u)
        }""",
        opset=18,
    ),
    Case(
        "the comparison holds more than 4M elements",
        """g (float[4097] x, int64[1024,1] i, float[1024] u) => (float[4097] y) {
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
