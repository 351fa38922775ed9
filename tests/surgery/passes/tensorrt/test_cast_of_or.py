"""SG184: Or that a Cast reads."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, parse, same

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
