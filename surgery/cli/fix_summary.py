"""What `surgeon fix` prints of one model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from verify.report import Report

NAMES_AND_NUMBERS = re.compile(r"'[^']*'|\d[\d.e+-]*")
MOST_REASONS, MOST_NAMED = 6, 3  # in the summary of half precision; --verbose prints all


def summary(target: object, report: Report, verbose: bool) -> str:
    """The lines about one model.

    Args:
        target: where the result went; None for no mention of it.
        verbose: name every finding, and every reason of half precision.
    """
    figures = report.checks[0].figures
    lines = [
        report.model if target is None else f"{report.model} -> {target}",
        f"  {report.checks[0].message}: {figures['nodes_before']} -> {figures['nodes_after']} nodes, "
        f"{figures['bytes_before']:,} -> {figures['bytes_after']:,} bytes, {figures['seconds']:.1f} s",
    ]
    if figures["passes"]:
        lines.append("  " + ", ".join(f"{code} x{count}" for code, count in sorted(figures["passes"].items())))
    for check in report.checks[1:]:
        lines.append(f"  {check.name}: {check.message}")
        lines += _island(check.figures.get("stayed", ()), verbose)
    lines += [f"  {verdict.judge}: {verdict.message}" for verdict in report.verdicts]
    if verbose:
        lines += [f"  {f.code} {f.path + '/' if f.path else ''}{f.node or f.op}: {f.message}" for f in report.findings]
    return "\n".join(lines)


def _island(stayed: Sequence[dict[str, str]], verbose: bool) -> Iterator[str]:
    """A line for each reason why nodes stay in fp32, most nodes first.

    Without `verbose`, reasons that differ only in names and numbers share a line.
    """
    groups: dict[str, list[dict[str, str]]] = {}
    for node in stayed:
        groups.setdefault(node["why"] if verbose else NAMES_AND_NUMBERS.sub("", node["why"]), []).append(node)
    ordered = sorted(groups.values(), key=lambda nodes: -len(nodes))
    for nodes in ordered if verbose else ordered[:MOST_REASONS]:
        shown = nodes if verbose else nodes[:MOST_NAMED]
        names = ", ".join(f"{node['op']} '{node['node']}'" for node in shown)
        more = f" and {len(nodes) - len(shown)} more" if len(nodes) > len(shown) else ""
        alike = len({node["why"] for node in nodes}) == 1
        yield f"    fp32: {names}{more}: {'' if alike else 'for example, '}{nodes[0]['why']}"
    if len(ordered) > MOST_REASONS and not verbose:
        yield f"    fp32: {len(ordered) - MOST_REASONS} more reasons; --verbose prints all"
