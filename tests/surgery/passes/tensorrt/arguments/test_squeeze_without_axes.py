"""SG185: Squeeze that names no axes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import surgery
from surgery.diagnose.verdicts import verdict_of
from surgery.targets import load_target
from tests.surgery.passes.comparing import Case, parse, same

CODE = "SG185"
REWRITES = [
    Case("two dims", "g (float[1,3,1] x) => (float[3] y) { y = Squeeze(x) }"),
    Case("axes were an attribute", "g (float[1,3] x) => (float[3] y) { y = Squeeze(x) }", opset=11),
    Case("one size of a shape", "g (float[n,3] x) => (int64 y) { s = Shape<start = 0, end = 1>(x) y = Squeeze(s) }"),
]
LEFT_ALONE = [
    Case(
        "axes are given", "g (float[1,3] x) => (float[3] y) { a = Constant<value = int64[1] {0}>() y = Squeeze(x, a) }"
    ),
    Case("free dim", "g (float[n,1] x) => (float[m] y) { y = Squeeze(x) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    fixed = same(case.text, case.opset, CODE, [dict(case.inputs)], exact=True, target="tensorrt-10.9")
    _, again = surgery.fix_model(fixed, target="tensorrt-10.9", guard=False)
    assert CODE not in {finding.code for finding in again.findings}


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    _, report = surgery.fix_model(parse(case.text, case.opset), target="tensorrt-10.9", guard=False)
    assert CODE not in {finding.code for finding in report.findings}


@pytest.mark.parametrize("target", ["tensorrt-rtx", "tensorrt-11.5", "onnxruntime"])
def test_targets_that_take_it_keep_it(target: str) -> None:
    _, report = surgery.fix_model(parse(REWRITES[0].text, 17), target=target, guard=False)
    assert CODE not in {finding.code for finding in report.findings}


def test_table_takes_what_was_fixed(tmp_path: Path) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(parse(REWRITES[2].text, 17), source)
    assert verdict_of(source, load_target("deepstream-8.0")).state == "refused"
    surgery.fix(source, target, target="deepstream-8.0")
    assert verdict_of(target, load_target("deepstream-8.0")).state == "accepted"
