"""SG183: Min and Max whose result is tested for NaN."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, mends_fault, not_at_work, parse

CODE = "SG183"
TARGET = "tensorrt-10.16"
REWRITES = [
    Case(
        "min",
        "g (float[3] a, float[3] b) => (float[3] c, bool[3] n) { c = Min(a, b) n = IsNaN(c) }",
        opset=17,
        inputs={"a": [float("nan"), 1, 2], "b": [0, float("nan"), -1]},
    ),
    Case(
        "max of one number",
        "g (float[3] a, float b) => (bool[3] n) { c = Max(a, b) n = IsNaN(c) }",
        opset=17,
        inputs={"a": [float("nan"), 1, 2], "b": float("nan")},
    ),
]
LEFT_ALONE = [
    Case(
        "nothing looks for NaN",
        "g (float[3] a, float[3] b) => (float[3] c) { c = Min(a, b) }",
        opset=17,
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    mends_fault(CODE, case, TARGET)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    not_at_work(CODE, parse(case.text, case.opset), TARGET)


def test_versions_without_the_fault_keep_it() -> None:
    not_at_work(CODE, parse(REWRITES[0].text, REWRITES[0].opset), "tensorrt-rtx", "onnxruntime")
