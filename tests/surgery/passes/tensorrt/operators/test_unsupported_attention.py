"""SG116: Attention that the target has no kernel for."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG116"
REWRITES = [
    Case(
        "in float32",
        """g (float[1,2,4,8] q, float[1,2,4,8] k, float[1,2,4,8] v) => (float[1,2,4,8] y) {
          y = Attention(q, k, v)
        }""",
        opset=23,
        gone=("Attention",),
    ),
    Case(
        "with a softcap",
        """g (float[1,2,4,8] q, float[1,2,4,8] k, float[1,2,4,8] v) => (float[1,2,4,8] y) {
          y = Attention<softcap = 2.0>(q, k, v)
        }""",
        opset=23,
        gone=("Attention",),
    ),
]
LEFT_ALONE = [
    Case(
        "there is a kernel in float16",
        """g (float16[1,2,4,64] q, float16[1,2,4,64] k, float16[1,2,4,64] v) => (float16[1,2,4,64] y) {
          y = Attention(q, k, v)
        }""",
        opset=23,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
