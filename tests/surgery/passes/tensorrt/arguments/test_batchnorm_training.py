"""SG118: BatchNormalization in training mode."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, same, stays

CODE = "SG118"
REWRITES = [
    Case(
        "training",
        """g (float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v)
          => (float[2,3,4] y, float[3] rm, float[3] rv) {
          y, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v)
        }""",
        opset=15,
        gone=("BatchNormalization",),
    ),
    Case(
        "two dims and another momentum",
        """g (float[4,3] x, float[3] s, float[3] b, float[3] m, float[3] v)
          => (float[4,3] y, float[3] rm, float[3] rv) {
          y, rm, rv = BatchNormalization<training_mode = 1, momentum = 0.5, epsilon = 0.25>(x, s, b, m, v)
        }""",
        opset=15,
    ),
]
LEFT_ALONE = [
    Case(
        "inference",
        """g (float[2,3] x, float[3] s, float[3] b, float[3] m, float[3] v) => (float[2,3] y) {
          y = BatchNormalization(x, s, b, m, v)
        }""",
        opset=15,
    ),
    Case(
        "the rank is unknown",
        """g (float[] x, float[3] s, float[3] b, float[3] m, float[3] v) => (float[] y, float[3] rm, float[3] rv) {
          y, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v)
        }""",
        opset=15,
    ),
    Case(
        "training before opset 14 has another form",
        """g (float[4,3] x, float[3] s, float[3] b, float[3] m, float[3] v)
          => (float[4,3] y, float[3] rm, float[3] rv, float[3] sm, float[3] sv) {
          y, rm, rv, sm, sv = BatchNormalization(x, s, b, m, v)
        }""",
        opset=9,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_a_batch_of_nothing_gives_nan() -> None:
    text = """g (float[N,2,3] x) => (float[a,b,c] y, float[2] m, float[2] v)
    <float[2] s = {1,2}, float[2] b = {0,1}, float[2] m0 = {0,0}, float[2] v0 = {1,1}>
    { y, m, v = BatchNormalization<training_mode = 1>(x, s, b, m0, v0) }"""
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(np.float32)
    same(text, 15, "SG118", [{"x": x}, {"x": x[:0]}])
