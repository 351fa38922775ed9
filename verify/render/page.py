"""The HTML page: self-contained, without network or script, every name escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verify.render.data import check_data, finding_data, plain, tool_version
from verify.render.fill_template import fill
from verify.render.rule_text import RuleText
from verify.render.tables import tables_of
from verify.render.text import group_findings, headline, place, port_text, verdict
from verify.report import Check, Finding, Report, counted

# Control characters and direction overrides, with which a hostile name could rearrange the page, become escapes.
STEERING = {
    code: f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), 127, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
DRAWINGS = 40


def to_html(reports: Sequence[Report], *, title: str, rules: Mapping[str, RuleText]) -> str:
    """The reports as one page. It works from a file, offline, printed, in light and in dark."""
    page = fill(
        "page.html",
        title=plain(title),
        verdict=_verdict(reports),
        reports=list(map(report_parts, reports)),
        rules=rules,
        version=tool_version(),
    )
    return page.translate(STEERING) + "\n"


def _verdict(reports: Sequence[Report]) -> str:
    errors = sum(finding.severity == "error" for report in reports for finding in report.findings)
    skipped = sum(check.status == "skip" for report in reports for check in report.checks)
    extra = [counted(errors, "error")] if errors else []
    extra += [f"{counted(skipped, 'check')} skipped"] if skipped else []
    return ", ".join([verdict(reports), *extra])


def report_parts(report: Report) -> dict[str, Any]:
    """The values of a report for the template."""
    failed = sum(check.status == "fail" for check in report.checks)
    errors = sum(finding.severity == "error" for finding in report.findings)
    others = len(report.findings) - errors
    found = [f"{counted(failed, 'check')} failed"] if failed else []
    found += [counted(errors, "error")] if errors else []
    found += [counted(others, "warning or note", "warnings and notes")] if others else []
    return {
        "model": plain(report.model),
        "failed": report.exit_code != 0,
        "found": found,
        "checks": list(map(_check, report.checks)),
        "verdicts": [plain(vars(one)) for one in report.verdicts],
        "groups": list(map(_group, group_findings(report.findings))),
    }


def _check(check: Check) -> dict[str, Any]:
    """A check with its plain numbers, which the page folds away, its tables and its histograms."""
    data = check_data(check)
    figures = data["figures"]
    numbers = [(key, _number(value)) for key, value in figures.items() if not isinstance(value, (dict, list))]
    tensors = figures.get("tensors") or {}
    histograms = [(name, row["histogram"]) for name, row in tensors.items() if row.get("histogram")]
    tables = tables_of(data["name"], figures)
    return {**data, "numbers": numbers, "tables": tables, "histograms": histograms}


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _group(group: Sequence[Finding]) -> dict[str, Any]:
    """One card: findings with the same message at several nodes, and a drawing of each node's neighbourhood."""
    data = [finding_data(finding) for finding in group]
    first, details = data[0], data[0]["details"]
    names = [name for item in data if (name := place(item["path"], item["node"]))]
    lists = [("node" if len(data) == 1 else f"{len(data)} nodes", names)]
    if len(data) == 1:
        lists += [(key, [port_text(port) for port in details.get(key, ())]) for key in ("inputs", "outputs")]
        lists.append(("with", list(details.get("together_with", ()))))
    lists.append(("from", list(dict.fromkeys(item["where"] for item in data if item["where"]))))
    drawings = [
        {"title": f"Neighbourhood of {item['node'] or item['op']}", "graph": graph}
        for item in data[:DRAWINGS]
        if (graph := item["details"].get("neighbourhood")) and graph["nodes"]
    ]
    return {"first": first, "headline": plain(headline(group)), "lists": lists, "drawings": drawings}
