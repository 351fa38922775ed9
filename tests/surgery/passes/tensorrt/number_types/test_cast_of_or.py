"""SG184: Or whose result a Cast reads."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, mends_fault, not_at_work, parse

CODE = "SG184"
TARGET = "tensorrt-11"
REWRITES = [
    Case(
        "read twice",
        "g (bool[4] a, bool[4] b) => (bool[4] c, float[4] d) { c = Or(a, b) d = Cast<to = 1>(c) }",
        opset=17,
        gone=("Or",),
        inputs={"a": [True, True, False, False], "b": [True, False, True, False]},
    ),
]
LEFT_ALONE = [
    Case(
        "no cast",
        "g (bool[4] a, bool[4] b) => (bool[4] c) { c = Or(a, b) }",
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
