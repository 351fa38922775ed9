"""A report as a notebook shows it, and the line that says what is running."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest

from tests.verify.render.report_samples import HOSTILE, hostile, refused
from verify.render.notebook import running
from verify.report import Check, Report, Verdict

RED, GREEN, YELLOW, BLUE = "#e0483e", "#2e9e5b", "#b7791f", "#4f8fd0"


def words(report: Report) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", report._repr_html_())).split())


def colours(report: Report) -> list[tuple[str, str]]:
    return [(word, colour) for colour, word in re.findall(r'<b style="color:([^"]*)">(\w+)</b>', report._repr_html_())]


def test_checks_and_verdicts_are_rows_in_their_colours() -> None:
    report = Report("m.onnx", [Check("onnx", "pass", "well-formed"), Check("golden", "fail", "y: off"),
                               Check("tensorrt", "skip", "not installed")])  # fmt: skip
    report.verdicts = [
        Verdict("RTX 1.7", "refused", "refuses 1 place", True),
        Verdict("table", "accepted", "fine", False),
        Verdict("other", "unknown", "who knows", False),
    ]
    assert words(report) == (
        "m.onnx 1 model: 1 of 1 failed; checks: 1 passed, 1 failed, 1 skipped pass onnx well-formed fail golden y: off "
        "skip tensorrt not installed refused RTX 1.7 refuses 1 place accepted table fine unknown other who knows"
    )
    assert colours(report) == [("pass", GREEN), ("fail", RED), ("skip", YELLOW), ("refused", RED), ("accepted", GREEN),
                               ("unknown", YELLOW)]  # fmt: skip


def test_findings_are_folded_with_their_nodes_reason_and_advice() -> None:
    finding = refused()
    html = Report("m.onnx", [], [finding])._repr_html_()
    assert html.count("<details><summary>") == 1
    assert "<details open" not in html
    text = words(Report("m.onnx", [], [finding]))
    assert f"error SG114 LayerNormalization: {finding.message}" in text
    assert "node: If_7 -> else_branch -> /decoder/LayerNormalization_3" in text
    assert f"why: {finding.why}" in text
    assert f"do: {finding.advice}" in text
    bare = words(Report("m.onnx", [], [replace(finding, why="", advice="")]))
    assert "why:" not in bare
    assert "do:" not in bare


@pytest.mark.parametrize(("count", "more"), [(8, False), (9, True)])
def test_eight_nodes_are_named(count: int, more: bool) -> None:
    text = words(Report("m.onnx", [], [refused(f"n{index}", path="", details={}) for index in range(count)]))
    assert f"{count} nodes: n0 , n1 , n2 , n3 , n4 , n5 , n6 , n7" in text
    assert ("and 1 more" in text) is more


def test_a_hostile_name_neither_adds_tags_nor_steers() -> None:
    (report,) = hostile()
    html = report._repr_html_()
    assert "<script" not in html
    assert "\u202e" not in html
    assert HOSTILE not in html


class Line:
    """Stands for IPython's DisplayHandle and keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, data: dict[str, str], raw: bool = False) -> None:
        assert raw
        self.shown.append(data["text/html"])

    update = display


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """The line of a notebook's cell."""
    made = Line()
    shell: Any = SimpleNamespace(kernel=object())
    module = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(DisplayHandle=lambda: made))  # type: ignore[arg-type]
    return made


def test_what_is_running_becomes_how_long_it_took(line: Line) -> None:
    with running("fixing a<b"):
        assert line.shown == ["<i>fixing a&lt;b ...</i>"]
    assert re.fullmatch(r"<i>fixing a&lt;b: done in 0\.\d s</i>", line.shown[1])


def test_what_failed_says_so_and_the_error_passes(line: Line) -> None:
    with pytest.raises(ValueError, match="no"), running("fixing"):
        raise ValueError("no")
    assert line.shown[-1].startswith("<i>fixing: failed after 0.")


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["script", "terminal"])
def test_outside_of_a_notebook_nothing_is_shown(shell: object, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    with running("fixing"):
        pass
    assert line.shown == []
