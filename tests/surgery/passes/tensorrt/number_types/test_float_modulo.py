"""SG110: Mod with fmod=0 on floating point."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, keeps_values, stays

CODE = "SG110"
REWRITES = [
    Case(
        "signs and infinities",
        "g (float[6] a, float[6] b) => (float[6] c) { c = Mod(a, b) }",
        opset=28,
        inputs={"a": [-3, 3, 1, -5.5, 0, 7], "b": [float("inf"), 2, float("-inf"), 2, -2, -3]},
    ),
]
LEFT_ALONE = [
    Case("integers have a Mod", "g (int32[2] a, int32[2] b) => (int32[2] c) { c = Mod(a, b) }", opset=13),
    Case("fmod=1 has a layer", "g (float[2] a, float[2] b) => (float[2] c) { c = Mod<fmod = 1>(a, b) }", opset=13),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
