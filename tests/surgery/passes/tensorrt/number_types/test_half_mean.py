"""SG182: Mean of several tensors in half precision."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, mends_fault, not_at_work, parse

CODE = "SG182"
TARGET = "tensorrt-10.9"
REWRITES = [
    Case(
        "four tensors",
        "g (float16[2] a, float16[2] b) => (float16[2] m) { m = Mean(a, b, a, b) }",
        opset=17,
        gone=("Mean",),
        inputs={"a": [1, 2], "b": [3, 0.5]},
    ),
]
LEFT_ALONE = [
    Case(
        "float32",
        "g (float[2] a, float[2] b) => (float[2] m) { m = Mean(a, b) }",
        opset=17,
    ),
    Case(
        "one tensor",
        "g (float16[2] a) => (float16[2] m) { m = Mean(a) }",
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
