"""SG183: Min and Max that a test for NaN reads."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, parse, same

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
    fixed = same(case.text, case.opset, CODE, [dict(case.inputs)], exact=True, target=TARGET)
    assert not set(case.gone) & {node.op_type for node in fixed.graph.node}
    _, again = surgery.fix_model(fixed, target=TARGET, guard=False)
    assert CODE not in {finding.code for finding in again.findings}


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    _, report = surgery.fix_model(parse(case.text, case.opset), target=TARGET, guard=False)
    assert CODE not in {finding.code for finding in report.findings}


def test_versions_without_the_fault_keep_it() -> None:
    for target in ("tensorrt-rtx", "onnxruntime"):
        _, report = surgery.fix_model(parse(REWRITES[0].text, REWRITES[0].opset), target=target, guard=False)
        assert CODE not in {finding.code for finding in report.findings}
