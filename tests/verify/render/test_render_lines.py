"""Text and SARIF to the letter: what stands on each line, and what a code-scanning page is given."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.verify.render.report_samples import RULES, refused
from verify.errors import SurgeonError
from verify.render import RuleText, show
from verify.render.sarif import to_sarif
from verify.render.text import group_findings, headline, port_text, visible
from verify.report import Check, Finding, Report, Verdict


def lines(*reports: Report, quiet: bool = False) -> list[str]:
    stream = io.StringIO()
    show(reports, stream=stream, quiet=quiet)
    return stream.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")


def finding(**changes: Any) -> Finding:
    return Finding(**{"code": "SG001", "message": "it is odd", "node": "n", "op": "Add", **changes})


def nodes(count: int, **changes: Any) -> list[Finding]:
    return [finding(node=f"n{number}", **changes) for number in range(count)]


def test_checks_stand_in_columns() -> None:
    checks = [
        Check("onnx", "pass", "well-formed"),
        Check("tensorrt", "skip", "absent"),
        Check("golden", "fail", "y off"),
    ]
    assert lines(Report("m.onnx", checks)) == [
        "m.onnx",
        "  pass   onnx      well-formed",
        "  skip   tensorrt  absent",
        "  FAIL   golden    y off",
        "",
        "1 model: 1 of 1 failed; checks: 1 passed, 1 failed, 1 skipped",
    ]


def test_the_colour_of_a_verdict_is_of_the_judge_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    verdicts = [Verdict("here", "refused", "refuses 1 place"), Verdict("table", "refused", "refuses it", asked=False)]
    red, dim = (line for line in lines(Report("m.onnx", verdicts=verdicts)) if "refuses" in line)
    assert "\x1b[1;31mrefuses 1 place" in red
    assert "\x1b[2mrefuses it" in dim
    assert "for information" in dim


def test_long_text_hangs_beside_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = lines(Report("m.onnx", [Check("onnx", "fail", "one two three four five six seven eight")]))
    assert shown[1:4] == ["  FAIL   onnx  one two three four five", "         six seven eight", ""]


def test_everything_that_one_finding_holds() -> None:
    details = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [1, None, "N"]}, {"name": "w"}],
        "outputs": [{"name": "y", "dtype": "int64", "shape": []}],
        "together_with": ["p", "q"], "flags": ["--one", "--two"], "fixable": False, "rtx_only": True, "says": "no",
    }  # fmt: skip
    one = finding(why="because", advice="do it", where="net.py:3", severity="error", path="If_7/body", details=details)
    assert lines(Report("m.onnx", [], [one])) == [
        "m.onnx",
        "",
        "  SG001  error  Add  it is odd",
        "  node   If_7 -> body -> n",
        "  in     x  float32[1, ?, N]",
        "         w  ?[?]",
        "  out    y  int64[]",
        "  with   p",
        "         q",
        "  from   net.py:3",
        "  why    because",
        "  do     do it",
        "  flags  --one --two",
        "  fix    by hand; surgeon fix does not do it",
        "  rtx    full TensorRT takes this; only TensorRT-RTX refuses it",
        "  says   no",
        "",
        "1 model: 1 of 1 failed; findings: 1 error",
    ]


def test_finding_without_anything() -> None:
    assert lines(Report("m.onnx", [], [Finding("SG001", "odd")]))[2:] == [
        "  SG001  warning  odd", "", "1 model: no errors; findings: 1 warning",
    ]  # fmt: skip


def test_fix_is_named_for_errors_only() -> None:
    repaired = {"fixable": True}
    assert "  fix    surgeon fix does it" in lines(Report("m", [], [finding(severity="error", details=repaired)]))
    assert not any("surgeon fix" in line for line in lines(Report("m", [], [finding(details=repaired)])))


@pytest.mark.parametrize(("count", "more"), [(2, None), (8, None), (9, "and 1 more (--format json lists all)")])
def test_nodes_of_a_group(count: int, more: str | None) -> None:
    shown = lines(Report("m.onnx", [], nodes(count, severity="warning")))
    start = shown.index(f"  nodes  {count}:")
    wanted = [f"         n{number}" for number in range(min(count, 8))] + ([f"         {more}"] if more else [])
    assert shown[start + 1 : start + 1 + len(wanted)] == wanted
    assert shown[start + 1 + len(wanted)] == ""
    assert shown[-1] == f"1 model: no errors; findings: {count} warnings"


@pytest.mark.parametrize(("count", "row"), [(3, "3: n0, n1, n2"), (4, "4: n0, n1, n2 and 1 more")])
def test_notes_are_one_line(count: int, row: str) -> None:
    shown = lines(Report("m.onnx", [], nodes(count, severity="note", why="because")))
    assert f"  nodes  {row}" in shown
    assert not any("because" in line for line in shown)


def test_sources_of_a_group_are_listed_once_and_three_at_most() -> None:
    found = [finding(node=f"n{i}", where=f"net.py:{i // 2}") for i in range(10)]
    shown = lines(Report("m.onnx", [], found))
    start = shown.index("  from   net.py:0")
    assert shown[start + 1 : start + 4] == ["         net.py:1", "         net.py:2", ""]


def test_operators_of_a_mixed_group_are_not_named() -> None:
    found = [finding(op="Add", severity="note"), finding(op="Mul", severity="note", message="it is even")]
    shown = lines(Report("m.onnx", [], found))
    assert "  SG001  note  it is odd, and 1 more like it" in shown
    assert lines(Report("m.onnx", [], found[:1]))[2] == "  SG001  note  Add  it is odd"


def test_groups_are_of_one_saying_and_worst_first() -> None:
    found = [
        finding(), finding(op="Mul"), finding(why="w"), finding(details={"says": "s"}), finding(node="other"),
        finding(severity="note"), finding(severity="note", message="b"),
        finding(severity="note", details={"flags": ["f"]}),
        finding(severity="error"), finding(code="SG002"),
    ]  # fmt: skip
    groups = group_findings(found)
    assert [group[0].severity for group in groups] == ["error", *["warning"] * 5, "note", "note"]
    assert sorted(len(group) for group in groups) == [1, 1, 1, 1, 1, 1, 2, 2]
    assert headline(groups[0]) == "it is odd"


def test_quiet_leaves_out_models_without_news() -> None:
    good = Report("good.onnx", [Check("onnx", "pass", "fine")], [finding(severity="note")])
    bad = Report("bad.onnx", [Check("onnx", "pass", "fine"), Check("golden", "skip", "none")])
    worse = Report("worse.onnx", [], [finding()])
    shown = lines(good, bad, worse, quiet=True)
    assert shown[:4] == ["bad.onnx", "  skip   golden  none", "", "worse.onnx"]
    assert (
        " ".join(shown[-2:])
        == "3 models: all checks that ran passed; checks: 2 passed, 1 skipped; findings: 1 warning, 1 note"
    )
    assert "good.onnx" in lines(good, bad)


def test_ports_and_control_characters() -> None:
    assert port_text({"name": "x", "dtype": "int8", "shape": (2, "N", None)}) == "x  int8[2, N, ?]"
    assert port_text({"name": "x", "shape": "scalar"}) == "x  ?[?]"
    assert visible("a\x1b[31m\tb\nc\u202e") == "a\\x1b[31m\\tb\nc\\u202e"


def log(*reports: Report, rules: Any = RULES) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(to_sarif(reports, rules))["runs"][0]
    return run


def test_rules_are_described_by_their_texts() -> None:
    texts = {
        "SG001": RuleText("SG001", "odd-thing", "An odd thing.", kind="speed"),
        "SG002": RuleText("SG002", "even", "", True, "replace", {"What": "does.", "Why": "so."}),
        "SG003": RuleText("SG003", "bare", ""),
    }
    found = [finding(code=code) for code in ("SG004", "SG003", "SG002", "SG001", "SG002")]
    run = log(Report("m.onnx", [], found), rules=texts)
    one, two, three, four = run["tool"]["driver"]["rules"]
    assert one == {
        "id": "SG001", "name": "OddThing", "shortDescription": {"text": "An odd thing."},
        "fullDescription": {"text": "An odd thing."}, "help": {"text": "An odd thing."},
        "properties": {"fixable": False, "kind": "speed"},
    }  # fmt: skip
    assert two["shortDescription"] == {"text": "SG002"}
    assert two["help"] == two["fullDescription"] == {"text": "What: does.\n\nWhy: so."}
    assert two["properties"] == {"fixable": True, "kind": "replace"}
    assert three["help"] == three["fullDescription"] == {"text": "SG003"}
    assert four == {"id": "SG004"}
    assert [result["ruleIndex"] for result in run["results"]] == [3, 2, 1, 0, 1]


def test_result_of_a_finding() -> None:
    one = finding(path="If_1/body", why="Because", advice="Do it!", where="pkg/net.py:12 in forward", severity="error")
    (result,) = log(Report("models/a b.onnx", [], [one]))["results"]
    assert result["message"] == {"text": "Add at If_1 -> body -> n: it is odd. Because. Do it!"}
    assert result["level"] == "error"
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/a%20b.onnx", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 1},
    }  # fmt: skip
    assert location["logicalLocations"] == [{"name": "n", "fullyQualifiedName": "If_1/body/n", "kind": "object"}]
    (related,) = result["relatedLocations"]
    assert related["id"] == 0
    assert related["physicalLocation"]["region"] == {"startLine": 12}
    assert related["message"] == {"text": "pkg/net.py:12 in forward"}
    assert result["properties"] == {
        "op": "Add", "where": "pkg/net.py:12 in forward", "fixable": False, "details": {},
    }  # fmt: skip


def test_result_of_a_nameless_finding_and_of_a_check() -> None:
    run = log(Report("m.onnx", [Check("golden", "fail", "")], [Finding("SG001", "odd", path="If_1/body")]))
    check, nameless = run["results"]
    assert (check["ruleId"], check["level"], check["message"]) == ("check-golden", "error", {"text": "golden"})
    assert check["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert nameless["locations"][0]["logicalLocations"][0]["name"] == "If_1/body"
    assert "relatedLocations" not in nameless
    assert "logicalLocations" not in log(Report("m.onnx", [], [Finding("SG001", "odd")]))["results"][0]["locations"][0]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]


def test_rule_of_a_failed_check_says_that_it_failed() -> None:
    run = log(Report("m.onnx", [Check("TensorRT parser!", "fail", "no"), Check("--", "fail", "no")]))
    assert run["tool"]["driver"]["rules"] == [
        {"id": "check-tensorrt-parser", "shortDescription": {"text": "The check 'tensorrt-parser' failed."}},
        {"id": "check-unnamed", "shortDescription": {"text": "The check 'unnamed' failed."}},
    ]


def test_what_did_not_run_and_what_judges_say_are_notifications() -> None:
    report = Report("m.onnx", [Check("trt", "skip", "not here"), Check("file", "fail", "gone", {"exit_code": 2}),
                               Check("onnx", "pass", "fine")])  # fmt: skip
    report.verdicts = [Verdict("RTX", "refused", "refuses 1", True), Verdict("table", "refused", "refuses 2", False),
                       Verdict("RTX", "accepted", "accepts it", True)]  # fmt: skip
    (invocation,) = log(report)["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    said = invocation["toolExecutionNotifications"]
    assert [(one["level"], one["message"]["text"]) for one in said] == [
        ("note", "skipped: trt: not here"),
        ("error", "not checked: file: gone"),
        ("error", "RTX: refuses 1"),
        ("note", "table: refuses 2"),
        ("note", "RTX: accepts it"),
    ]
    assert [one.get("properties") for one in said][2:] == [
        {"state": "refused", "asked": True},
        {"state": "refused", "asked": False},
        {"state": "accepted", "asked": True},
    ]
    assert {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in said} == {"m.onnx"}


def test_files_inside_and_outside_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "work"
    inside.mkdir()
    monkeypatch.chdir(inside)
    reports = [
        Report(str(inside / "sub" / "m.onnx")),
        Report(str(tmp_path / "n.onnx")),
        Report(str(tmp_path / "n.onnx")),
        Report(""),
    ]
    assert [artifact["location"] for artifact in log(*reports)["artifacts"]] == [
        {"uri": "sub/m.onnx", "uriBaseId": "%SRCROOT%"},
        {"uri": (tmp_path / "n.onnx").as_uri()},
        {"uri": "model", "uriBaseId": "%SRCROOT%"},
    ]


def test_fingerprints_change_with_what_is_said_and_where() -> None:
    found = [refused(), refused("other"), refused(message="m"), refused(code="SG115"), refused(path="")]
    prints = [result["partialFingerprints"]["surgeon/v1"] for result in log(Report("m.onnx", [], found))["results"]]
    assert len(set(prints)) == 5
    assert all(len(one) == 32 for one in prints)


def test_formats_are_told_apart() -> None:
    for name, start in (("text", "m.onnx\n"), ("json", '{\n  "schema_version"'), ("sarif", '{\n  "$schema"')):
        stream = io.StringIO()
        assert show([Report("m.onnx", [Check("a", "fail", "b")])], name, stream=stream) == 1
        assert stream.getvalue().startswith(start)
        assert stream.getvalue().endswith("\n")
    for name in ("html", "a", "z", ""):
        with pytest.raises(SurgeonError, match="choose one of text, json, sarif, github, junit"):
            show([], name, stream=io.StringIO())
