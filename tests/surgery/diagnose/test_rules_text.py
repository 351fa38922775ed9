"""`surgeon rules` and the pages of the rules: one text, from the passes' own docstrings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli.commands.rules import command
from surgery.diagnose.rules import HEADINGS, of_pass, report_codes, rule_texts
from surgery.diagnose.rules.pages import KINDS, as_markdown, rule, write_pages
from surgery.passes import all_passes
from surgery.targets.catalog import load_catalog
from verify.errors import SurgeonError
from verify.lint import RULES as LINT


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None
    return result.output


def test_list_has_every_code_once() -> None:
    text = run()
    codes = {one.code for one in all_passes()} | set(report_codes())
    codes |= {row.pass_code for row in load_catalog().values() if row.pass_code}
    codes |= {rule.code for rule in LINT}
    assert codes == set(rule_texts())
    for code in codes:
        assert sum(line.startswith(f"{code} ") for line in text.splitlines()) == 1


@pytest.mark.parametrize("one", all_passes(), ids=lambda one: one.code)
def test_text_of_a_pass_is_its_docstring(one: object) -> None:
    text = of_pass(one)  # type: ignore[arg-type]
    assert set(text.sections) <= set(HEADINGS)
    assert list(text.sections) == [heading for heading in HEADINGS if heading in text.sections]
    assert len(text.sections) == len(HEADINGS)
    assert text.kind in KINDS
    source = " ".join((sys.modules[one.find.__module__].__doc__ or "").split())  # type: ignore[attr-defined]
    for body in text.sections.values():
        assert " ".join(body.split()) in source


def test_explanation_wraps_and_takes_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run("sg820")
    assert text.startswith("SG820  custom-operator")
    assert max(map(len, text.splitlines())) <= 80
    assert report_codes()["SG820"]["advice"] in " ".join(text.split())


def test_json_has_the_same_text() -> None:
    everything = json.loads(run("--format", "json"))
    assert [one["code"] for one in everything] == sorted(rule_texts())
    (one,) = json.loads(run("SG001", "--format", "json"))
    assert one["sections"] == dict(rule("SG001").sections)


def test_unknown_code_offers_close_ones() -> None:
    with pytest.raises(SurgeonError, match="did you mean"):
        rule("SG8200")
    with pytest.raises(SurgeonError, match="lists them all"):
        rule("zzz")
    with pytest.raises(SurgeonError, match="lists them all"):
        rule("SG8888")
    with pytest.raises(SurgeonError, match=r"SG201 to SG2\d\d begin with it"):
        rule("SG2")


def test_pages_are_written_from_the_same_text_and_old_ones_go(tmp_path: Path) -> None:
    (tmp_path / "SG777.md").write_text("# SG777")
    files = write_pages(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}
    assert {path.stem for path in files} == {*rule_texts(), "index"}
    assert (tmp_path / "SG001.md").read_text(encoding="utf-8") == as_markdown(rule("SG001"))
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert all(f"[{code}]({code}.md)" in index for code in rule_texts())
