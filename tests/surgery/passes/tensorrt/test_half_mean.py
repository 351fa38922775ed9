"""SG182: Mean of several tensors in half precision."""

from __future__ import annotations

import pytest

import surgery
from tests.surgery.passes.comparing import Case, parse, same

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
