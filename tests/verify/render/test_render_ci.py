"""GitHub annotations and JUnit XML: what a CI server reads of a report, also with hostile names."""

from __future__ import annotations

import io
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.verify.render.report_samples import hostile, refused, sample
from verify.render import show
from verify.render.github import to_github
from verify.render.junit import to_junit
from verify.report import Check, Finding, Report

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),title=([^,:]*)::(.*)")


def annotations(*reports: Report) -> list[tuple[str, ...]]:
    """Level, file, title and message of each annotation, decoded as GitHub does it."""
    *lines, _ = to_github(reports).splitlines()
    found = [COMMAND.fullmatch(line) for line in lines]
    assert all(found), lines
    return [tuple(map(_decoded, one.groups())) for one in found if one]


def _decoded(text: str) -> str:
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, char)
    return text


def test_failed_and_skipped_checks_are_annotated_and_passed_ones_are_not() -> None:
    checks = [
        Check("onnx", "pass", "fine"),
        Check("golden", "fail", "y: 50% off, of 2"),
        Check("trt", "skip", "absent"),
    ]
    assert annotations(Report("models/m.onnx", checks)) == [
        ("error", "models/m.onnx", "surgeon: golden failed", "y: 50% off, of 2"),
        ("notice", "models/m.onnx", "surgeon: trt was skipped", "absent"),
    ]
    assert to_github([Report("m.onnx", checks[:1])]) == "1 model: all checks passed; checks: 1 passed\n"


def test_finding_says_node_reason_rewrite_and_whether_fix_does_it() -> None:
    one = refused()
    ((level, file, title, message),) = annotations(Report("a,b:c.onnx", [], [one]))
    assert (level, file, title) == ("error", "a,b:c.onnx", "surgeon SG114")
    assert message == (
        f"LayerNormalization at If_7 -> else_branch -> /decoder/LayerNormalization_3: {one.message}. {one.why} "
        f"{one.advice} surgeon fix does it."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"op": "Add", "node": ""}, "Add: odd."),
        ({"op": "", "node": "n"}, "at n: odd."),
        ({"op": "", "node": ""}, "odd."),
        ({"op": "Add", "node": "n", "message": "odd!", "why": " Because? ", "advice": "Do it."},
         "Add at n: odd! Because? Do it."),
        ({"op": "Add", "node": "n", "details": {"fixable": False}}, "Add at n: odd."),
        ({"op": "Add", "node": "n", "details": {"fixable": True}}, "Add at n: odd. surgeon fix does it."),
    ],
)  # fmt: skip
def test_text_of_a_finding_says_operator_and_place_where_they_are_known(changes: dict[str, Any], said: str) -> None:
    ((_, _, _, message),) = annotations(
        Report("m.onnx", [], [Finding(**{"code": "SG001", "message": "odd", **changes})])
    )
    assert message == said


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, " and 1 more")])
def test_eight_nodes_are_named(count: int, more: str) -> None:
    ((_, _, _, message),) = annotations(
        Report("m", [], [Finding("SG001", "odd", f"n{i}", "Add") for i in range(count)])
    )
    assert message == f"Add at n0, n1, n2, n3, n4, n5, n6, n7{more}: odd."


def test_findings_that_say_the_same_are_one_annotation() -> None:
    found = [Finding("SG108", "axes are not constant", f"n{i}", "ReduceMean") for i in range(10)]
    note = Finding("SG001", "renames", "i", "Identity", severity="note")
    (group, single) = annotations(Report("m.onnx", [], [*found, note]))
    assert group[3] == "ReduceMean at n0, n1, n2, n3, n4, n5, n6, n7 and 2 more: axes are not constant."
    assert (group[0], single[0]) == ("warning", "notice")


def test_file_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed = [Check("golden", "fail", "off")]
    assert annotations(Report(str(tmp_path / "sub" / "m.onnx"), failed))[0][1] == os.path.join("sub", "m.onnx")
    assert annotations(Report("/elsewhere/m.onnx", failed))[0][1] == "/elsewhere/m.onnx"


def test_hostile_name_cannot_add_a_command() -> None:
    report = Report("m.onnx\n::error::forged", [Check("a\n::warning::b", "fail", "c\r\n::error::d")])
    text = to_github([report, *hostile()])
    assert sum(line.startswith("::") for line in text.splitlines()) == 3
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)


def suites(*reports: Report) -> ElementTree.Element:
    return ElementTree.fromstring(to_junit(reports).encode())


def test_each_model_is_a_suite_and_each_check_a_case() -> None:
    checks = [
        Check("onnx", "pass", "fine", {"seconds": 1.25}),
        Check("golden", "fail", "y off"),
        Check("trt", "skip", "absent"),
    ]
    root = suites(Report("m.onnx", checks), Report("n.onnx", checks[:1]))
    assert root.attrib == {"name": "surgeon", "tests": "4", "failures": "1", "skipped": "1"}
    first, second = root
    assert first.attrib == {"name": "m.onnx", "tests": "3", "failures": "1", "skipped": "1"}
    assert second.attrib == {"name": "n.onnx", "tests": "1", "failures": "0", "skipped": "0"}
    good, bad, absent = first
    assert good.attrib == {"classname": "m.onnx", "name": "onnx", "time": "1.250"}
    assert list(good) == []
    assert [(child.tag, child.get("message")) for child in (*bad, *absent)] == [
        ("failure", "y off"), ("skipped", "absent"),
    ]  # fmt: skip


def test_errors_are_failed_cases_and_other_findings_are_output() -> None:
    one = refused()
    ((suite),) = suites(Report("m.onnx", [], [one, refused("other"), Finding("SG001", "odd", "n", "Neg")]))
    (case,) = suite.iter("testcase")
    assert case.get("name") == "SG114 LayerNormalization"
    (failure,) = case
    assert failure.get("type") == "SG114"
    assert one.why in str(failure.get("message"))
    assert "surgeon fix does it." in str(failure.get("message"))
    assert suite.get("failures") == "1"
    (output,) = suite.iter("system-out")
    assert output.text == "warning SG001 Neg at n: odd."


def test_hostile_and_whole_reports_are_well_formed_xml() -> None:
    assert [suite.get("name") for suite in suites(*sample())] == [report.model for report in sample()]
    assert len(suites(*hostile())) == 1
    assert suites().attrib == {"name": "surgeon", "tests": "0", "failures": "0", "skipped": "0"}


@pytest.mark.parametrize(("form", "start"), [("github", "::error file=m.onnx"), ("junit", "<?xml version")])
def test_show_writes_both_and_returns_the_exit_code(form: str, start: str) -> None:
    stream = io.StringIO()
    assert show([Report("m.onnx", [Check("a", "fail", "b")])], form, stream=stream) == 1
    assert stream.getvalue().startswith(start)
    assert stream.getvalue().endswith("\n")
