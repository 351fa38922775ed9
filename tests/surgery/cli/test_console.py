"""Text that is wrapped at the width of the terminal: no word is cut, and a log keeps its lines whole."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from surgery.cli.console import fitted, wrapped

LINE = "parity: equal bit for bit on 3 sets of inputs (onnx.reference) and on 6 edge cases"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal of 60 columns."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    return monkeypatch


def test_indented_lines_hang_on_a_terminal_and_others_stay(terminal: pytest.MonkeyPatch) -> None:
    path = "a" * 70 + ".onnx -> out.onnx"
    assert fitted(f"{path}\n  {LINE}\n  short\n").split("\n") == [
        path,
        "  parity: equal bit for bit on 3 sets of inputs",
        "    (onnx.reference) and on 6 edge cases",
        "  short",
        "",
    ]


def test_a_log_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert fitted(f"  {LINE}\n") == f"  {LINE}\n"


@pytest.mark.parametrize(("columns", "longest"), [("60", 60), ("120", 120), ("200", 120), ("10", 28)])
def test_width_is_that_of_the_terminal_and_120_at_most(
    columns: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = wrapped("ab " * 200, "    ")
    assert all(line.startswith("    ab") for line in lines)
    assert longest - 3 < max(map(len, lines)) <= longest
    assert wrapped("", "  ") == ["  "]
    assert wrapped("a-b/" + "c" * 200, "") == ["a-b/" + "c" * 200]


def test_rules_and_goldens_stay_within_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surgery.cli.commands import golden, rules

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    text = CliRunner().invoke(rules.command, ["SG105"], catch_exceptions=False).output
    assert text.startswith(
        "SG105  bool-reduction  (applied by surgeon fix where the target refuses the\n       original)\n"
    )
    onnx.save(
        onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 18]>
    tiny (float[2] x) => (float[2] y) { y = Relu(x) }"""),
        "tiny.onnx",
    )
    CliRunner().invoke(golden.command, ["record", "tiny.onnx", "-o", "gold"], catch_exceptions=False)
    text += CliRunner().invoke(golden.command, ["show", "gold", "--tensors"], catch_exceptions=False).output
    assert "    [1] 8 times the largest difference" in text
    assert [line for line in text.splitlines() if len(line) > 80] == []
