"""Values and words in every format: numbers, names with control characters, verdicts, and the page's cards."""

from __future__ import annotations

import io
import json
from importlib.metadata import PackageNotFoundError
from typing import Any

import numpy as np
import pytest

from verify.render.data import plain, to_json, tool_version
from verify.render.page import report_parts, to_html
from verify.render.sarif import to_sarif
from verify.render.text import print_text, verdict
from verify.report import Check, Finding, Report, Verdict


def test_values_become_json_types() -> None:
    values = {1: (np.float32(0.5), np.int64(7)), "b": True, "n": None, "set": {3}, "array": np.array([[1, 2]])}
    assert plain(values) == {"1": [0.5, 7], "b": True, "n": None, "set": [3], "array": [[1, 2]]}
    assert plain([float("nan"), np.float64("-inf"), 1.5, "\ud800", b"x"]) == ["nan", "-inf", 1.5, "?", "b'x'"]


def test_json_says_how_each_model_ended_and_keeps_letters() -> None:
    found = [Finding("SG001", "odd", fix=lambda: None), Finding("SG001", "odd", details={"fixable": False, "k": 1})]
    good = Report("modèle.onnx", [], found)
    text = to_json([good, Report("b.onnx", [Check("golden", "fail", "off")], cached=True)])
    assert "modèle.onnx" in text
    document = json.loads(text)
    assert document["exit_code"] == 1
    assert [(one["exit_code"], one["cached"]) for one in document["reports"]] == [(0, False), (1, True)]
    assert [one["fixable"] for one in document["reports"][0]["findings"]] == [True, False]
    assert document["reports"][0]["findings"][1]["details"] == {"k": 1}


def test_version_is_0_where_surgeon_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("verify.render.data.version", absent)
    assert tool_version() == "0"
    assert "Written by surgeon 0." in to_html([], title="t", rules={})


def test_sarif_of_a_model_without_errors_says_exit_code_0_and_keeps_letters() -> None:
    text = to_sarif([Report("m.onnx", [Check("onnx", "pass", "fine")], [Finding("SG001", "größer")])], {})
    assert "größer" in text
    run = json.loads(text)["runs"][0]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 0}]
    assert run["results"][0]["level"] == "warning"


STEERING = [*range(9), *range(11, 32), 127, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


def test_page_shows_characters_that_steer_as_escapes_and_keeps_their_neighbours() -> None:
    for code in STEERING:
        html = to_html([Report(f"a{chr(code)}b")], title="t", rules={})
        assert chr(code) not in html
        assert f"a\\u{code:04x}b" in html
    kept = "".join(map(chr, (9, 10, 32, 126, 128, 0x200D, 0x2010, 0x2029, 0x202F, 0x2065, 0x206A)))
    assert f"a{kept}b" in to_html([Report(f"a{kept}b")], title="t", rules={})


@pytest.mark.parametrize(
    ("checks", "severities", "said", "row"),
    [
        ([], [], "1 model: nothing was checked.", []),
        (["pass"], ["note"], "1 model: all checks passed.", ["1 warning or note"]),
        (["pass", "skip"], [], "1 model: all checks that ran passed, 1 check skipped.", []),
        (["fail", "skip", "skip"], ["error"], "1 model: 1 of 1 failed, 1 error, 2 checks skipped.",
         ["1 check failed", "1 error"]),
        (["fail", "fail"], ["error", "error", "note", "warning"], "1 model: 1 of 1 failed, 2 errors.",
         ["2 checks failed", "2 errors", "2 warnings and notes"]),
    ],
)  # fmt: skip
def test_first_lines_of_the_page(checks: list[Any], severities: list[Any], said: str, row: list[str]) -> None:
    findings = [Finding("SG001", f"m{number}", severity=one) for number, one in enumerate(severities)]
    report = Report("m.onnx", [Check(one, one, "") for one in checks], findings)
    assert f"<p>{said}</p>" in to_html([report], title="t", rules={})
    parts = report_parts(report)
    assert parts["found"] == row
    assert parts["failed"] is bool(report.exit_code)


def drawn(count: int, **changes: Any) -> list[Finding]:
    graph = {"nodes": [{"id": "1", "label": "Add"}], "edges": []}
    details = {"neighbourhood": graph, "inputs": [{"name": "x"}], "together_with": ["p"]}
    given = {"op": "Add", "where": "net.py:3", "details": details, **changes}
    return [Finding("SG001", "odd", f"n{number}", **given) for number in range(count)]


def cards(findings: list[Finding]) -> list[dict[str, Any]]:
    return list(report_parts(Report("m.onnx", [], findings))["groups"])


def test_card_of_one_node_lists_everything_and_of_several_what_they_share() -> None:
    (one,) = cards(drawn(1))
    assert one["lists"] == [
        ("node", ["n0"]), ("inputs", ["x  ?[?]"]), ("outputs", []), ("with", ["p"]), ("from", ["net.py:3"]),
    ]  # fmt: skip
    (several,) = cards(drawn(2))
    assert several["lists"] == [("2 nodes", ["n0", "n1"]), ("from", ["net.py:3"])]
    assert [one["title"] for one in several["drawings"]] == ["Neighbourhood of n0", "Neighbourhood of n1"]


def test_card_has_forty_drawings_at_most_and_none_of_nothing() -> None:
    assert [len(cards(drawn(count))[0]["drawings"]) for count in (40, 41)] == [40, 40]
    assert cards(drawn(2, details={"neighbourhood": {"nodes": [], "edges": []}}))[0]["drawings"] == []
    (nameless,) = cards([Finding("SG001", "odd", op="Add", details=drawn(1)[0].details)])
    assert [one["title"] for one in nameless["drawings"]] == ["Neighbourhood of Add"]


def test_numbers_of_a_check_have_six_digits_and_lists_are_left_out() -> None:
    check = Check("a", "pass", "", {"seconds": 1.23456789, "count": 12345678, "list": [1], "text": "t", "map": {}})
    (shown,) = report_parts(Report("m.onnx", [check]))["checks"]
    assert shown["numbers"] == [("seconds", "1.23457"), ("count", "12345678"), ("text", "t")]


def printed(*reports: Report, **options: Any) -> list[str]:
    stream = io.StringIO()
    print_text(reports, stream, **options)
    return stream.getvalue().splitlines()


def test_log_is_100_characters_wide_but_a_path_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    path = "folder/" * 40 + "m.onnx"
    lines = printed(Report(path, [Check("onnx", "fail", "word " * 60)], cached=True))
    assert lines[0] == path
    assert lines[1] == "  from cache: unchanged since the last check; --no-cache checks again"
    assert max(map(len, lines[2:])) == 99  # the last word that fits ends here
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, printed(Report("m.onnx", [Check("onnx", "fail", "word " * 60)])))) <= 50
    monkeypatch.setenv("COLUMNS", "12")
    narrow = printed(Report("m", [Check("", "fail", "b" * 39)]))
    assert narrow[1:4] == ["  FAIL     " + "b" * 18, " " * 9 + "b" * 20, " " * 9 + "b"]


def test_plain_text_has_no_colour_where_colour_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    report = Report("m.onnx", [Check("onnx", "fail", "12 [bold] :smile:")])
    assert "\x1b" not in "".join(printed(report, plain=True))
    assert "12 [bold] :smile:" in printed(report, plain=True)[1]
    assert "\x1b[1;31mFAIL" in "".join(printed(report))


def test_long_names_of_checks_and_long_codes() -> None:
    checks = [Check("c" * 25, "pass", "long"), Check("short", "pass", "fine")]
    assert printed(Report("m", checks))[1:3] == [
        f"  pass   {'c' * 25}  long",
        f"  pass   {'short':20}  fine",
    ]
    assert printed(Report("m", [], [Finding("CUSTOM001", "odd")]))[2] == "  CUSTOM001 warning  odd"


@pytest.mark.parametrize(
    ("states", "asked", "said"),
    [
        (["unknown"], True, "1 model: unknown whether the target takes it"),
        (["accepted", "unknown"], True, "2 models: unknown whether the target takes all of them"),
        (["unknown"], False, "1 model: nothing was checked"),
        (["accepted"], True, "1 model: nothing was checked"),
    ],
)
def test_what_a_target_leaves_unknown_is_not_passed(states: list[Any], asked: bool, said: str) -> None:
    reports = [Report("m.onnx", verdicts=[Verdict("RTX", state, "", asked)]) for state in states]
    assert verdict(reports) == said
