"""The warnings in a log that are worth reading, and errors of the tools themselves, as findings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from surgery.diagnose.logs.lines import Message
from surgery.diagnose.rules.reasons import Reason, of_code
from verify.report import Finding, Severity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LISTED = re.compile(r"List of affected weights: (.+)", re.DOTALL)
NAMED = re.compile(r"Weights \[name=(?P<name>.+?)\] had the following issues")
OUTPUTS_WANTED = re.compile(r"--(?:exportOutput|dumpOutput|dumpRawBindingsToFile)\b")
SHOWN = 8


@dataclass(frozen=True)
class _Entry:
    says: re.Pattern[str]
    code: str
    severity: Severity


@cache
def _entries(kind: str) -> tuple[_Entry, ...]:
    rows: list[dict[str, Any]] = _table()[kind]
    return tuple(_Entry(re.compile(row["says"]), row["code"], row.get("severity", "error")) for row in rows)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("known_messages.toml").read_text(encoding="utf-8"))


def is_worth_reading(text: str) -> bool:
    """Whether a message matters although it is no error: it says something about values, shapes or memory."""
    return bool(LISTED.search(text)) or any(entry.says.search(text) for entry in _entries("warning"))


def tool_error(text: str) -> Reason | None:
    """The reason of an error that is about the tool's input, the engine or the memory; None for any other."""
    return next((of_code(entry.code) for entry in _entries("error") if entry.says.search(text)), None)


@cache
def _following() -> re.Pattern[str]:
    return re.compile("|".join(_table()["follows"]), re.DOTALL)


def only_follows(text: str) -> bool:
    """Whether an error only says that another one before it ended the run."""
    return _following().match(text) is not None


def warnings_in(found: Iterable[Message], command: str) -> list[Finding]:
    """One finding for each kind of warning, with the tensors that it names and how often it stands there."""
    groups: dict[str, list[tuple[_Entry, re.Match[str], str]]] = {}
    weights: list[str] = []
    named = ""
    for message in found:
        listed = LISTED.search(message.text)
        weights += [name.strip() for name in listed[1].split(",")] if listed else []
        owner = NAMED.search(message.text)
        named = owner["name"] if owner else named
        for entry in _entries("warning"):
            match = entry.says.search(message.text)
            if match:
                about = match.groupdict().get("tensor") or (named if entry.code in ("SG852", "SG853") else "")
                groups.setdefault(entry.code, []).append((entry, match, about))
                break
    return [_finding(group, weights, command) for group in groups.values()]


def _finding(group: list[tuple[_Entry, re.Match[str], str]], weights: list[str], command: str) -> Finding:
    entry = group[0][0]
    reason = of_code(entry.code)
    names = list(dict.fromkeys(name for _, _, name in group if name))
    if entry.code in ("SG852", "SG853"):
        names = names or list(dict.fromkeys(weights))
    counts = [int(found.groupdict()["count"]) for _, found, _ in group if found.groupdict().get("count")]
    number = max(counts, default=len(names))
    what = reason.name.replace("-", " ")
    message = f"{what} ({number:,})" if counts else f"{what}: {_listed(names)}" if names else what
    severity: Severity = entry.severity
    if entry.code == "SG854" and OUTPUTS_WANTED.search(command):
        severity, message = "warning", f"{message}; the outputs that this run wrote cannot be judged"
    lines = [found.string for _, found, _ in group]
    details = {"says": "\n".join(dict.fromkeys(lines[:3])), "count": len(group), "tensors": names[:100]}
    return Finding(entry.code, message, why=reason.reason, advice=reason.advice, severity=severity, details=details)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
