"""Passes that the caller of fix_model and fix gives: they run last, are proved like the others, and are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest

import surgery
from surgery.passes.ops.build import Build
from surgery.pipeline.rule import Finding, Pass, finding
from verify.errors import SurgeonError

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4] x) => (float[4] y) { [e] a = Exp(x)  [i] b = Identity(a)  [s] y = Abs(b) }"""


def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


def put(graph: Any, node: Any, context: Any, op: str) -> None:
    build = Build(graph, node, context, "HR001")
    build.replace(build(op, node.inputs[0]))


def find(graph: Any, context: Any, op: str = "Abs", by: str = "Identity") -> Iterator[Finding]:
    for node in context.nodes(graph, op):
        yield finding("never negative", node, partial(put, graph, node, context, by))


OWN = Pass(code="HR001", name="abs-of-exp", find=find, exact=True)


def operators(found: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in found.graph.node]


@pytest.mark.parametrize("given", [OWN, [OWN], (OWN, OWN)], ids=["one", "list", "twice"])
def test_it_runs_after_the_others(given: Any) -> None:
    fixed, report = surgery.fix_model(model(), passes=given)
    assert operators(fixed) == ["Exp"]
    assert report.checks[0].figures["passes"] == {"SG001": 2, "HR001": 1}
    assert operators(surgery.fix_model(model())[0]) == ["Exp", "Abs"]


def test_it_is_selected_and_ignored_by_its_code() -> None:
    assert operators(surgery.fix_model(model(), passes=OWN, select="HR001")[0]) == ["Exp", "Identity", "Identity"]
    assert operators(surgery.fix_model(model(), passes=OWN, ignore="hr")[0]) == ["Exp", "Abs"]
    with pytest.raises(SurgeonError, match="no pass has the code 'HR001'"):
        surgery.fix_model(model(), select="HR001")


def test_a_wrong_one_is_left_out_and_named() -> None:
    wrong = Pass(code="HR002", name="abs-is-neg", find=partial(find, by="Neg"), exact=True)
    fixed, report = surgery.fix_model(model(), passes=wrong)
    assert operators(fixed) == ["Exp", "Abs"]
    assert "HR002 (abs-is-neg) was left out: with it output 'y' differs" in report.checks[1].message


def test_one_that_fails_is_named_once() -> None:
    def broken(graph: Any, context: Any) -> Iterator[Finding]:
        raise ValueError("no such thing")

    _, report = surgery.fix_model(model(), passes=replace(OWN, find=broken))
    said = [check.message for check in report.checks if check.status == "skip"]
    assert said == ["HR001 could not examine the graph: ValueError('no such thing')"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("HR001", "passes='HR001': give a surgery.pipeline.rule.Pass or several, not str"),
        ([OWN, 3], "passes=3: give a surgery.pipeline.rule.Pass or several, not int"),
        (None, "passes=None: give a surgery.pipeline.rule.Pass or several, not NoneType"),
        (replace(OWN, code="SG001"), "passes: the code SG001 of 'abs-of-exp' is that of "),
        ([OWN, replace(OWN, name="other")], "the code HR001 of 'other' is that of 'abs-of-exp' too; choose another"),
    ],
)
def test_what_is_no_pass_or_has_a_taken_code_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SurgeonError) as caught:
        surgery.fix_model(model(), passes=given)
    assert said in str(caught.value)


def test_a_file_is_fixed_with_it_also_in_a_process_of_its_own(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    for isolated in (False, True):
        surgery.fix(tmp_path / "m.onnx", tmp_path / "out.onnx", passes=OWN, isolated=isolated)
        assert operators(onnx.load(tmp_path / "out.onnx")) == ["Exp"]
        (tmp_path / "out.onnx").unlink()


def test_a_pass_of_the_main_script_does_not_run_in_another_process(tmp_path: Path) -> None:
    def of_main(graph: Any, context: Any) -> Iterator[Finding]:
        return find(graph, context)

    of_main.__module__ = "__main__"
    onnx.save(model(), tmp_path / "m.onnx")
    with pytest.raises(SurgeonError, match="isolated=True takes passes from an importable module; leave isolated out"):
        surgery.fix(tmp_path / "m.onnx", tmp_path / "o.onnx", passes=replace(OWN, find=of_main), isolated=True)
    assert not (tmp_path / "o.onnx").exists()
