"""Other limits on results that are there already: of this run, or read back from a saved JSON report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify.compare.statistics import Limits, judge
from verify.compare.tolerance import exceeded_limits
from verify.errors import SurgeonError
from verify.report import Check, Finding, Report, Verdict


def rejudge(report: Report, limits: Limits) -> Report:
    """The same report with every check that holds tensor statistics judged by `limits` alone."""
    return replace(report, checks=[_rejudge_check(check, limits) for check in report.checks])


def _rejudge_check(check: Check, limits: Limits) -> Check:
    tensors: Mapping[str, Mapping[str, Any]] = check.figures.get("tensors", {})
    if not tensors:
        return check
    others: Sequence[Mapping[str, Mapping[str, Any]]] = check.figures.get("other_runs", ())
    wrong = [
        f"{name}: {problem}"
        for run in (tensors, *others)
        for name, figures in run.items()
        for problem in _exceeded(figures, limits)
    ]
    wrong = [*check.figures.get("not_run", ()), *dict.fromkeys(wrong)]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return replace(check, status="fail", message=wrong[0] + more)
    return replace(check, status="pass", message=f"{len(tensors)} outputs within the limits given")


def _exceeded(figures: Mapping[str, Any], limits: Limits) -> list[str]:
    tolerance = figures.get("tolerance")
    return exceeded_limits(figures, tolerance, limits) if tolerance else judge(figures, limits)


def load_reports(path: Path) -> list[Report]:
    """Reports of a file that `--format json` wrote.

    Raises:
        SurgeonError: missing, or not such a file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [_report(entry) for entry in document["reports"]]
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        kind = type(error).__name__
        raise SurgeonError(f"{path}: not a report of surgeon ({kind}); write one with --format json") from None


def _report(entry: Mapping[str, Any]) -> Report:
    checks = [Check(str(c["name"]), c["status"], str(c["message"]), dict(c["figures"])) for c in entry["checks"]]
    return Report(
        str(entry["model"]),
        checks,
        [_finding(found) for found in entry["findings"]],
        verdicts=[Verdict(**one) for one in entry.get("verdicts", ())],
    )


def _finding(entry: Mapping[str, Any]) -> Finding:
    kept: dict[str, Any] = {key: value for key, value in entry.items() if key != "fixable"}
    return Finding(**kept)


def with_limits(reports: Sequence[Report], limits: Limits) -> list[Report]:
    """Every report judged by `limits` where any is given, else as it is."""
    return list(reports) if limits == Limits() else [rejudge(report, limits) for report in reports]
