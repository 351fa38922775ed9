"""Reports as workflow commands of GitHub Actions, which shows them as annotations of the pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from verify.render.data import plain
from verify.render.text import group_findings, place, summary, visible
from verify.report import Check, Finding, Report

LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
NAMES_SHOWN = 8


def to_github(reports: Sequence[Report]) -> str:
    """One annotation for each failed or skipped check and for each group of findings; passed checks have none.

    The last line is the summary as plain text, for the log.
    """
    lines = [line for report in reports for line in _annotations(report)]
    return "\n".join([*lines, summary(reports)]) + "\n"


def message_of(group: Sequence[Finding]) -> str:
    """The text of a group of findings: message, nodes, reason, rewrite, and whether `surgeon fix` does it."""
    first = group[0]
    names = [name for finding in group if (name := place(finding.path, finding.node))]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    operator = first.op if len({finding.op for finding in group}) == 1 else ""
    where = f" at {', '.join(names[:NAMES_SHOWN])}{more}" if names else ""
    parts = [f"{operator}{where}: {first.message}" if operator or where else first.message, first.why, first.advice]
    if first.details.get("fixable"):
        parts.append("surgeon fix does it")
    return " ".join(sentence(part.strip()) for part in parts if part)


def sentence(text: str) -> str:
    """`text` with a full stop where it has none."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _annotations(report: Report) -> Iterator[str]:
    for check in report.checks:
        if check.status != "pass":
            yield _of_check(report.model, check)
    for group in group_findings(report.findings):
        yield _command(LEVELS[group[0].severity], report.model, f"surgeon {group[0].code}", message_of(group))


def _of_check(model: str, check: Check) -> str:
    if check.status == "skip":
        return _command("notice", model, f"surgeon: {check.name} was skipped", check.message)
    return _command("error", model, f"surgeon: {check.name} failed", check.message)


def _command(level: str, model: str, title: str, message: str) -> str:
    """A command in GitHub's syntax, in which %, line ends and, in properties, colons and commas are escaped."""
    path = Path(plain(model))
    file = path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    return f"::{level} file={_property(str(file))},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return visible(plain(text)).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
