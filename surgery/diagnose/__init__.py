"""Everything that TensorRT refuses in a model: each refusal with its place, its reason and what to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from surgery.diagnose.findings import join, merged
from surgery.diagnose.fixes import fixed_copy, mark
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.refusals import Case, find_refusals
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.static import pass_findings, table_findings
from surgery.diagnose.utf8 import require_text
from surgery.passes import plug_in_checks
from surgery.pipeline.options import Options
from surgery.targets import load_target
from verify.model.read import read_model
from verify.model.walk import node_name
from verify.report import Check, Finding, Report, Status, counted
from verify.tensorrt import engine

__all__ = ["Case", "Settings", "diagnose", "examine"]


@dataclass(frozen=True)
class Settings:
    """Options of `diagnose`.

    build     run the builder after the parser
    profiles  {input: (min, opt, max)} for dynamic inputs; None: sizes are guessed
    seconds   time to look for further refusals after the first
    options   target and selection of the passes
    """

    build: bool = True
    profiles: Mapping[str, Sequence[Sequence[int]]] | None = None
    seconds: float = 300.0
    options: Options = field(default_factory=Options)


def diagnose(path: str | os.PathLike[str], settings: Settings | None = None) -> Report:
    """Everything TensorRT refuses in the ONNX file at `path`; see `examine`."""
    return examine(path, settings)[0]


def examine(path: str | os.PathLike[str], settings: Settings | None = None) -> tuple[Report, list[Case]]:
    """The report on the ONNX file at `path`, and for each refused node what `repro` needs.

    Static rules first, then the real parser, then the real builder; without TensorRT the target's table is used.

    Raises:
        SurgeonError: the file cannot be read.
    """
    settings = settings or Settings()
    file = Path(path)
    model = read_model(file)
    require_text(model, str(file))
    load_target(settings.options.target)
    view = ModelView(model)
    report = Report(str(file))
    static = _static(view, str(file.parent), settings, report)
    missing = engine.unusable() if engine.available() else f"TensorRT is not installed; {engine.INSTALL}"
    if missing:
        for name in ("tensorrt-parser", "tensorrt-builder"):
            report.checks.append(Check(name, "skip", missing))
        report.findings = join(_from_table(view, file, settings), static, "error")
        return report, []
    with ScratchFolder(view.model, file.parent) as scratch:
        found = find_refusals(file, view, scratch, settings.build, settings.profiles, settings.seconds)
    report.checks += found.checks
    refused = _with_fixable(merged(found.findings), view, file, settings)
    report.findings = _for_target(
        join(refused, static, "note" if found.complete else "warning"), settings.options.target
    )
    return report, found.cases


def _with_fixable(refused: list[Finding], view: ModelView, file: Path, settings: Settings) -> list[Finding]:
    """The refusals with `fixable`: the passes run on a copy, and TensorRT parses and builds the result."""
    fixed = fixed_copy(view, str(file.parent), settings.options) if refused else None
    if fixed is None:
        return refused
    with ScratchFolder(fixed, file.parent) as scratch:
        path = scratch.write(scratch.model, "fixed.onnx")
        fixed_view = ModelView(fixed)
        left = find_refusals(path, fixed_view, scratch, settings.build, settings.profiles, settings.seconds)
    return mark(refused, view, fixed_view, left.findings, left.complete)


def _from_table(view: ModelView, file: Path, settings: Settings) -> list[Finding]:
    """What the target's table refuses, with `fixable`: the passes run on a copy, and the table judges the result."""
    refused = list(table_findings(view, settings.options.target))
    fixed = fixed_copy(view, str(file.parent), settings.options) if refused else None
    if fixed is None:
        return refused
    fixed_view = ModelView(fixed)
    return mark(refused, view, fixed_view, list(table_findings(fixed_view, settings.options.target)), True)


def _static(view: ModelView, folder: str, settings: Settings, report: Report) -> list[Finding]:
    report.checks += plug_in_checks()
    try:
        found, failed = pass_findings(view.model, folder, settings.options)
    except Exception as error:  # a broken model that cannot be imported; TensorRT's own messages follow
        report.checks.append(Check("rules", "skip", f"the graph cannot be searched: {type(error).__name__}: {error}"))
        return []
    status: Status = "skip" if failed else "pass"
    text = f"{counted(len(found), 'finding')} by the passes" + "".join(f"; {words}" for words in failed)
    report.checks.append(Check("rules", status, text))
    named = {node_name(node): node for node in view.nodes}
    return [_with_place(finding, view, named) for finding in found]


def _with_place(finding: Finding, view: ModelView, named: Mapping[str, onnx.NodeProto]) -> Finding:
    node = None if finding.path or finding.where else named.get(finding.node)
    return finding if node is None else replace(finding, where=view.where(node))


def _for_target(findings: list[Finding], target: str) -> list[Finding]:
    """For full TensorRT, what only TensorRT-RTX refuses is a note."""
    if target != "tensorrt":
        return findings
    return [replace(f, severity="note") if f.details.get("rtx_only") else f for f in findings]
