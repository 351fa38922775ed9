"""SG146: MaxUnpool after the MaxPool that made its indices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG146"
REWRITES = [
    Case(
        "no overlap",
        """g (float[1,1,2,2] x, int64[1,1,2,2] i) => (float[1,1,4,4] y) {
          y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i)
        }""",
        after="""g (float[1,1,2,2] x, int64[1,1,2,2] i) => (float[1,1,4,4] y)
        <int64[1] t0 = {-1}, int64[1] t1 = {-1}, float[16] t2 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        int64[4] t3 = {1, 1, 4, 4}> {
          t4 = Reshape(x, t0)
          t5 = Reshape(i, t1)
          t6 = ScatterElements<axis = 0>(t2, t5, t4)
          y = Reshape(t6, t3)
        }""",
        opset=22,
        gone=("MaxUnpool",),
        inputs={"i": [[[[5, 7], [13, 15]]]]},
    ),
]


TEXT = (
    "g (float[1,2,4,6] x) => (float[1,2,4,6] y) {{ p, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)"
    " y = MaxUnpool<kernel_shape = [2, 2], strides = {0}>(p, i) }}"
)


def test_values() -> None:
    inputs = {"x": np.random.default_rng(0).standard_normal((1, 2, 4, 6)).astype(np.float32)}
    assert "MaxUnpool" not in operators(same(TEXT.format("[2, 2]"), 22, "SG146", [inputs], exact=True))


def test_left_alone() -> None:
    left_alone(TEXT.format("[1, 1]").replace("float[1,2,4,6] y", "float[a,b,c,d] y"), 22, "SG146")
    left_alone(TEXT.format("[2, 2]").replace("float[1,2,4,6] x", "float[1,2,n,6] x"), 22, "SG146")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
