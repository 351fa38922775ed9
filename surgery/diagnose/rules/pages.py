"""The rules as text: `surgeon rules`, and the pages under docs/rules that are generated from the same source."""

from __future__ import annotations

import json
from pathlib import Path

from surgery.diagnose.rules import rule_texts
from verify.errors import SurgeonError, did_you_mean
from verify.render import RuleText

KINDS = {
    "cleanup": "always applied by surgeon fix",
    "replace": "applied by surgeon fix where the target refuses the original",
    "speed": "applied by surgeon fix for targets that gain",
    "interface": "applied by surgeon fix when a spec or an option asks for it",
    "chosen": "applied by surgeon fix when selected by its code",
    "report": "reported only",
    "lint": "reported by surgeon verify and surgeon inspect",
}


def rule(code: str) -> RuleText:
    """One rule by its code, in any case.

    Raises:
        SurgeonError: there is no such code.
    """
    found = rule_texts().get(code.upper())
    if found is None:
        starting = [known for known in rule_texts() if known.startswith(code.upper())]
        hint = did_you_mean(code.upper(), rule_texts(), 0.8) or "; `surgeon rules` lists them all"
        if len(starting) > 1:
            hint = f"; {starting[0]} to {starting[-1]} begin with it"
        raise SurgeonError(f"no rule has the code '{code}'{hint}")
    return found


def as_json(rules: list[RuleText]) -> str:
    """Rules as a JSON array, ending in a newline."""
    return (
        json.dumps([{**vars(one), "sections": dict(one.sections)} for one in rules], indent=2, ensure_ascii=False)
        + "\n"
    )


def as_markdown(one: RuleText) -> str:
    """The documentation page of a rule."""
    parts = [f"# {one.code} {one.name}", one.title, f"*{KINDS.get(one.kind, one.kind)}*"]
    parts += [f"## {heading}\n\n{body}" for heading, body in one.sections.items()]
    return "\n\n".join(parts) + "\n"


def index_markdown(rules: list[RuleText]) -> str:
    """The page that lists every rule."""
    rows = [f"| [{one.code}]({one.code}.md) | {one.name} | {_cell(one.title)} | {KINDS[one.kind]} |" for one in rules]
    head = ["# Rules", "", "| code | name | what is wrong | when it runs |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"


def write_pages(folder: Path) -> list[Path]:
    """Write one page a rule and the index into `folder`; returns the files, and drops pages of codes that are gone."""
    rules = list(rule_texts().values())
    pages = {f"{one.code}.md": as_markdown(one) for one in rules} | {"index.md": index_markdown(rules)}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
