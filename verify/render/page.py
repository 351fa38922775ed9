"""The HTML page: everything inside, no network and no script, every name escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from verify.render.data import plain, tool_version
from verify.render.page_compile import builds_html
from verify.render.page_findings import findings_html
from verify.render.page_parts import mark, op_counts_html, scrolling, tensors_html
from verify.render.rule_text import RuleText
from verify.report import Report

# Control and direction-override characters, which a hostile name could rearrange the page with, shown as escapes.
STEERING = {
    code: f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), 127, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def to_html(reports: Sequence[Report], *, title: str, rules: Mapping[str, RuleText]) -> str:
    """The reports as one page in English. Works from a file, offline, printed, in light and in dark."""
    title = plain(title).translate(STEERING)
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = [
        '<a class="skip" href="#main">Skip to the results</a>',
        f"<header><h1>{escape(title)}</h1><p>{escape(_verdict(reports))}</p></header>",
        _contents(reports) if len(reports) > 1 else "",
        '<main id="main">',
        *(_report(report, f"m{index}", rules) for index, report in enumerate(reports)),
        "</main>",
        f"<footer><p>Written by surgeon {escape(tool_version())}.</p></footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{css}</style>"
    )
    body_html = "".join(body).translate(STEERING)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body_html}</body></html>\n'


def _verdict(reports: Sequence[Report]) -> str:
    bad = sum(report.exit_code != 0 for report in reports)
    errors = sum(finding.severity == "error" for report in reports for finding in report.findings)
    skipped = sum(check.status == "skip" for report in reports for check in report.checks)
    models = f"{len(reports)} model{'' if len(reports) == 1 else 's'}"
    verdict = f"{models}: {bad} found wanting" if bad else f"{models}: nothing wanting"
    extra = [f"{errors} error{'' if errors == 1 else 's'}"] if errors else []
    extra += [f"{skipped} check{'' if skipped == 1 else 's'} skipped"] if skipped else []
    return ", ".join([verdict, *extra]) + "."


def _contents(reports: Sequence[Report]) -> str:
    rows = "".join(
        f"<tr><td>{mark('fail' if report.exit_code else 'pass')}</td>"
        f'<td><a href="#m{index}"><code>{escape(plain(report.model))}</code></a></td>'
        f'<td class="number">{sum(finding.severity == "error" for finding in report.findings)}</td>'
        f'<td class="number">{sum(finding.severity != "error" for finding in report.findings)}</td></tr>'
        for index, report in enumerate(reports)
    )
    head = '<tr><th scope="col">result</th><th scope="col">model</th>'
    head += '<th scope="col" class="number">errors</th><th scope="col" class="number">other findings</th></tr>'
    table = f"<table><caption>Models</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f'<nav aria-label="Models">{scrolling(table, "Models")}</nav>'


def _report(report: Report, anchor: str, rules: Mapping[str, RuleText]) -> str:
    name = escape(plain(report.model))
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}"><code>{name}</code></h2>']
    if report.checks:
        parts.append(_checks(report))
    for check in report.checks:
        figures = plain(check.figures)
        parts.append(tensors_html(figures.get("tensors"), check.name))
        parts.append(op_counts_html(figures.get("op_counts")))
        parts.append(builds_html(figures.get("builds")))
    parts.append(findings_html(report.findings, anchor, rules))
    return "".join([*parts, "</section>"])


def _checks(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{mark(check.status)}</td><th scope="row">{escape(plain(check.name))}</th>'
        f"<td>{escape(plain(check.message))}{_figures(check.figures)}</td></tr>"
        for check in report.checks
    )
    head = '<tr><th scope="col">result</th><th scope="col">check</th><th scope="col">what it says</th></tr>'
    table = f"<table><caption class=hidden>Checks</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return f"<h3>Checks</h3>{scrolling(table, 'Checks')}"


def _figures(figures: Mapping[str, Any]) -> str:
    """The plain numbers of a check behind a fold; those that are drawn elsewhere are left out."""
    shown = {key: value for key, value in plain(figures).items() if not isinstance(value, (dict, list))}
    if not shown:
        return ""
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_value(value))}</dd>" for key, value in shown.items())
    return f"<details><summary>figures</summary><dl>{items}</dl></details>"


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
