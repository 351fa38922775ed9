"""Reports as text: words carry the meaning, colour only repeats it, and no name is cut."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from verify.report import Finding, Report, Verdict, counted

STATUS = {"pass": ("pass", "green"), "fail": ("FAIL", "bold red"), "skip": ("skip", "yellow")}
STATES = {"accepted": "green", "refused": "bold red", "unknown": "yellow"}
SEVERITY = {"error": "bold red", "warning": "yellow", "note": "cyan"}
LOG_WIDTH = 100
NAMES_SHOWN = 8
NOTES_SHOWN = 3
INDENT = 9


def print_text(reports: Sequence[Report], stream: TextIO, quiet: bool = False, plain: bool = False) -> None:
    """Print every report, then a summary of the models, the checks and the findings; `plain` is without colour."""
    width = None if stream.isatty() or "COLUMNS" in os.environ else LOG_WIDTH
    console = Console(
        file=stream,
        width=width,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=True,
        force_jupyter=False,
        force_terminal=False if plain else None,
    )
    for report in reports:
        _report(console, report, quiet)
    for line in Text(summary(reports)).wrap(console, console.width):
        line.rstrip()
        console.print(line)


def _report(console: Console, report: Report, quiet: bool) -> None:
    checks = [check for check in report.checks if not (quiet and check.status == "pass")]
    findings = [finding for finding in report.findings if not (quiet and finding.severity == "note")]
    if quiet and not checks and not findings:
        return
    console.print(Text(visible(report.model), style="bold"))
    if report.cached:
        console.print(Text("  from cache: unchanged since the last check; --no-cache checks again", style="dim"))
    widest = max((len(check.name) for check in checks), default=0)
    for check in checks:
        word, style = STATUS[check.status]
        name = Text(f"{visible(check.name):{min(widest, 20)}}  ", style="bold")
        _row(console, Text(word, style=style), name.append(visible(check.message), style="not bold"))
    for one in report.verdicts:
        _row(console, Text("judge", style="dim"), _judgement(one))
    for group in group_findings(findings):
        console.print()
        head = Text(group[0].severity, style=SEVERITY[group[0].severity])
        operator = group[0].op if len({finding.op for finding in group}) == 1 else ""
        head.append(f"  {visible(operator)}" if operator else "", style="bold")
        head.append(f"  {visible(headline(group))}", style="not bold")
        _row(console, Text(group[0].code, style="bold"), head)
        for label, body in _lines(group):
            _row(console, Text(label, style="dim"), Text(visible(body)))
    console.print()


def _judgement(one: Verdict) -> Text:
    """A line for each verdict of a target; a verdict that was not asked for does not decide the exit code."""
    style = STATES[one.state] if one.asked else "dim"
    aside = "" if one.asked else " (for information)"
    return Text.assemble(f"{visible(one.judge)}: ", (visible(one.message), style), aside)


def _row(console: Console, label: Text, body: Text) -> None:
    """A label and its text, wrapped with a hanging indent; nothing is cut, no line ends in spaces."""
    for line in body.wrap(console, max(console.width - INDENT, 20), overflow="fold"):
        line.rstrip()
        console.print(Text.assemble("  ", label, " " * max(INDENT - 2 - len(label), 1), line))
        label = Text("")


def _lines(group: Sequence[Finding]) -> Iterable[tuple[str, str]]:
    first, details = group[0], group[0].details
    names = [name for name in (place(finding.path, finding.node) for finding in group) if name]
    if len(group) == 1:
        yield from [("node", name) for name in names]
        for label, key in (("in", "inputs"), ("out", "outputs")):
            if details.get(key):
                yield label, "\n".join(port_text(port) for port in details[key])
    elif names and first.severity == "note":
        more = f" and {len(names) - NOTES_SHOWN} more" if len(names) > NOTES_SHOWN else ""
        yield "nodes", f"{len(names)}: {', '.join(names[:NOTES_SHOWN])}{more}"
        return
    elif names:
        more = f"\nand {len(names) - NAMES_SHOWN} more (--format json lists all)" if len(names) > NAMES_SHOWN else ""
        yield "nodes", f"{len(names)}:\n" + "\n".join(names[:NAMES_SHOWN]) + more
    if len(group) == 1 and details.get("together_with"):
        yield "with", "\n".join(details["together_with"])
    wheres = list(dict.fromkeys(finding.where for finding in group if finding.where))
    if wheres:
        yield "from", "\n".join(wheres[:3])
    if first.why:
        yield "why", first.why
    if first.advice:
        yield "do", first.advice
    if details.get("flags"):
        yield "flags", " ".join(details["flags"])
    if first.severity == "error" and "fixable" in details:
        yield "fix", "surgeon fix does it" if details["fixable"] else "by hand; surgeon fix does not do it"
    if details.get("source"):
        yield "source", str(details["source"])
    if details.get("rtx_only"):
        yield "rtx", "full TensorRT takes this; only TensorRT-RTX refuses it"
    if details.get("says"):
        yield "says", str(details["says"])


def place(path: str, node: str) -> str:
    """Where a node is: `If_7 -> else_branch -> Foo_1` for the path "If_7/else_branch" and the node "Foo_1"."""
    arrows = re.sub(r"/(then_branch|else_branch|body)(?:/|$)", r" -> \1 -> ", path).removesuffix(" -> ")
    return " -> ".join(part for part in (arrows, node) if part)


def port_text(port: dict[str, object]) -> str:
    """A tensor as `name  float32[1, N, 3]`; `?` stands for an unknown dtype, shape or dim."""
    shape = port.get("shape")
    dims = ", ".join("?" if dim is None else str(dim) for dim in shape) if isinstance(shape, (list, tuple)) else "?"
    return f"{port.get('name')}  {port.get('dtype') or '?'}[{dims}]"


def group_findings(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings in groups, errors first: those with the same message at different nodes, and all notes of a rule."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        says = (finding.op, finding.message, finding.why, finding.details.get("says"))
        note = finding.severity == "note" and "flags" not in finding.details
        groups.setdefault((finding.severity, finding.code, *(() if note else says)), []).append(finding)
    order = list(SEVERITY)
    return sorted(groups.values(), key=lambda group: order.index(group[0].severity))


def headline(group: Sequence[Finding]) -> str:
    """The message of a group, or the first of several messages and how many more there are."""
    others = len(group) - sum(finding.message == group[0].message for finding in group)
    return group[0].message + (f", and {others} more like it" if others else "")


def visible(text: str) -> str:
    """`text` with control characters, which could change what the terminal shows, replaced by their escapes."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def verdict(reports: Sequence[Report]) -> str:
    """How many models there are and how their checks ended; a skipped check is not counted as passed."""
    models = counted(len(reports), "model")
    failed = sum(report.exit_code != 0 for report in reports)
    statuses = {check.status for report in reports for check in report.checks}
    if failed:
        return f"{models}: {failed} of {len(reports)} failed"
    if any(one.asked and one.state == "unknown" for report in reports for one in report.verdicts):
        return f"{models}: unknown whether the target takes {'it' if len(reports) == 1 else 'all of them'}"
    if "pass" in statuses:
        return f"{models}: all checks {'that ran ' if 'skip' in statuses else ''}passed"
    if any(report.findings for report in reports):
        return f"{models}: no errors"
    return f"{models}: nothing was checked"


def summary(reports: Sequence[Report]) -> str:
    """The verdict, and how many checks and findings of each kind there are."""
    statuses = [check.status for report in reports for check in report.checks]
    severities = [finding.severity for report in reports for finding in report.findings]
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    judged = [f"{statuses.count(status):,} {word}" for status, word in words.items() if status in statuses]
    found = [counted(severities.count(name), name) for name in SEVERITY if name in severities]
    parts = [verdict(reports)]
    parts += [f"checks: {', '.join(judged)}"] if judged else []
    parts += [f"findings: {', '.join(found)}"] if found else []
    return "; ".join(parts)
