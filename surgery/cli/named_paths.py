"""The models that the paths given to `verify` mean, and reports for paths and options that match no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.errors import SurgeonError
from verify.report import Report, not_checked


def models_behind(paths: Sequence[Path]) -> tuple[list[Path], list[Report]]:
    """The paths, with golden files replaced by the models they were recorded from; a report for each without one."""
    from verify.goldens.find import models_of
    from verify.report import Check

    found: list[Path] = []
    without: list[Report] = []
    for path in paths:
        own = models_of(path)
        found += [path] if own is None else own
        if own == []:
            without.append(Report(str(path), [Check("golden", "skip", "the model it was recorded from is not here")]))
    return found, without


def about_goldens(given: dict[str, Any], reports: Sequence[Report]) -> list[Report]:
    """A report for each folder of --golden without a golden of these models, or with goldens of missing models."""
    from verify.goldens.find import folders, is_orphan
    from verify.goldens.index import read_index
    from verify.report import Check

    used = {(check.figures.get("folder"), check.figures.get("golden")) for r in reports for check in r.checks}
    unread = any("exit_code" in check.figures for report in reports for check in report.checks)
    found = []
    for folder in folders(given["golden"]):
        try:
            goldens = read_index(folder)
        except SurgeonError:
            continue  # the report of each model says so
        # A model that could not be checked may be the one that the golden was recorded of.
        if given["golden"] and not unread and all(str(folder) != place for place, _ in used):
            has = ", ".join(golden.id for golden in goldens) or "none"
            found.append(not_checked(folder, SurgeonError(f"no golden of these models; it has {has}")))
        lost = ", ".join(golden.id for golden in goldens if is_orphan(golden) and (str(folder), golden.id) not in used)
        if lost:
            message = f"recorded of models that are gone: {lost}; see surgeon golden list"
            found.append(Report(str(folder), [Check("goldens", "fail" if given["strict"] else "skip", message)]))
    return found


def about_spec(spec: str | None, reports: Sequence[Report]) -> list[Report]:
    """A report for a spec that describes none of the models, so that the option had no effect."""
    checks = [check for report in reports for check in report.checks]
    unknown = [check.message for check in checks if check.name == "interface" and check.status == "skip"]
    if spec is None or len(unknown) < len(reports) or not unknown:
        return []
    return [not_checked(spec, SurgeonError(unknown[0].replace("the model is no module", "no model is a module")))]
