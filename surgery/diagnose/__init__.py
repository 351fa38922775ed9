"""Finds everything that a target refuses in a model: each refusal with its place, its reason and what to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import onnx

from surgery.diagnose.findings import join, merged
from surgery.diagnose.fixes import fixed_copy, mark, mark_by_table
from surgery.diagnose.in_thread import in_thread
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search.builder import same_fault
from surgery.diagnose.search.refusals import Case, add_builder_refusals, find_refusals, parser_refusals
from surgery.diagnose.static import only_by_pass, pass_findings, table_findings
from surgery.diagnose.utf8 import require_text
from surgery.diagnose.verdicts import by_onnxruntime, by_table, by_tensorrt
from surgery.passes import plug_in_checks
from surgery.pipeline.options import Options
from surgery.targets import RTX, Target, load_target
from verify.model.read import read_model
from verify.model.walk import every_node, node_name
from verify.report import Check, Finding, Report, Status, counted
from verify.run.timeouts import result_of
from verify.tensorrt import engine

__all__ = ["Case", "Settings", "diagnose", "examine"]


@dataclass(frozen=True)
class Settings:
    """Options of `diagnose`.

    build     run the builder after the parser
    profiles  {input: (min, opt, max)} for dynamic inputs; None: sizes are guessed
    seconds   time to look for further refusals after the first
    options   target and selection of the passes
    fail_on   "unknown" makes the exit code 1 also where the judge that was asked does not know
    """

    build: bool = True
    profiles: Mapping[str, Sequence[Sequence[int]]] | None = None
    seconds: float = 300.0
    options: Options = field(default_factory=Options)
    fail_on: Literal["refused", "unknown"] = "refused"


def diagnose(path: str | os.PathLike[str], settings: Settings | None = None) -> Report:
    """Everything TensorRT refuses in the ONNX file at `path`; see `examine`."""
    return examine(path, settings)[0]


def examine(path: str | os.PathLike[str], settings: Settings | None = None) -> tuple[Report, list[Case]]:
    """The report on the ONNX file at `path`, and for each refused node what `repro` needs.

    Static rules first. Then, for TensorRT-RTX, the parser and builder where they are installed; for other targets and
    without TensorRT, the target's table.

    Raises:
        SurgeonError: the file cannot be read.
    """
    settings = settings or Settings()
    file = Path(path)
    model = read_model(file)
    require_text(model, str(file))
    target = load_target(settings.options.target)
    view = ModelView(model)
    report = Report(str(file), fail_on=settings.fail_on)
    if target.family == RTX and engine.available():
        return report, _by_tensorrt(report, view, file, settings)
    static, report.checks = _static(view, str(file.parent), settings)
    if target.family == "onnxruntime":
        report.findings = join([], static, "note")
        report.verdicts.append(by_onnxruntime(file))
        return report, []
    refused = _from_table(view, file, settings, target, static)
    report.verdicts.append(by_table(target, refused))
    if target.family == RTX:
        for name in ("tensorrt-parser", "tensorrt-builder"):
            report.checks.append(Check(name, "skip", f"TensorRT is not installed; {engine.INSTALL}"))
    elif engine.available():
        refused += _second_opinion(report, view, file, settings, refused)
    report.findings = join(refused, static, "note")
    return report, []


def _by_tensorrt(report: Report, view: ModelView, file: Path, settings: Settings) -> list[Case]:
    """Run the installed parser and builder, and add their refusals to the report.

    While TensorRT works, the passes look for findings, and then make the fixed copy if the parser refuses something.
    """
    folder, fixed = str(file.parent), None
    static = in_thread(_static, view, folder, settings)
    with ScratchFolder(view.model, file.parent) as scratch:
        found, parsed = parser_refusals(file, view, scratch, settings.seconds)
        if found.findings:
            fixed = in_thread(fixed_copy, view, folder, settings.options)
        options = (settings.build, settings.profiles, settings.seconds)
        add_builder_refusals(found, file, view, scratch, parsed, *options)
    findings, checks = result_of(static)
    report.checks += [*checks, *found.checks]
    refused = merged(found.findings)
    if refused:
        fixed = fixed or in_thread(fixed_copy, view, folder, settings.options)
        refused = _with_fixable(refused, found.cases, view, fixed, file, settings)
    report.findings = join(refused, findings, "note" if found.complete else "warning")
    report.verdicts.append(by_tensorrt(found, settings.build))
    return found.cases


def _with_fixable(
    refused: list[Finding],
    cases: list[Case],
    view: ModelView,
    copy: Future[onnx.ModelProto | None],
    file: Path,
    settings: Settings,
) -> list[Finding]:
    """The refusals with `fixable`: TensorRT parses and builds the copy that the passes have fixed."""
    fixed = result_of(copy)
    if fixed is None:
        return refused
    with ScratchFolder(fixed, file.parent) as scratch:
        path = scratch.write(scratch.model, "fixed.onnx")
        fixed_view = ModelView(fixed)
        kept = {node.name for node in every_node(fixed)}
        causes = [case for case in cases if not case.code and case.finding.node in kept]

        def explained(message: str) -> bool:
            """Whether a node that is still there has made the builder fail in the same way before."""
            return any(same_fault(message, case.message, case.finding.op) for case in causes)

        left = find_refusals(path, fixed_view, scratch, settings.build, settings.profiles, settings.seconds, explained)
    return mark(refused, view, fixed_view, left.findings, left.complete)


def _from_table(
    view: ModelView, file: Path, settings: Settings, target: Target, static: list[Finding]
) -> list[Finding]:
    """What the target's table says, with `fixable`: the passes run on a copy, and the table judges the result."""
    refused = [*table_findings(view, target), *only_by_pass(static, target)]
    return mark_by_table(refused, view, str(file.parent), settings.options, target)


def _second_opinion(
    report: Report, view: ModelView, file: Path, settings: Settings, refused: list[Finding]
) -> list[Finding]:
    """Refusals of TensorRT-RTX's parser at other places than the table's, as notes."""
    with ScratchFolder(view.model, file.parent) as scratch:
        found = find_refusals(file, view, scratch, False, settings.profiles, settings.seconds)
    report.verdicts.append(replace(by_tensorrt(found, build=False), asked=False))
    places = {(finding.path, finding.node) for finding in refused}
    others = [finding for finding in merged(found.findings) if (finding.path, finding.node) not in places]
    return [replace(finding, severity="note", message=f"TensorRT-RTX: {finding.message}") for finding in others]


def _static(view: ModelView, folder: str, settings: Settings) -> tuple[list[Finding], list[Check]]:
    """Findings of the passes, and what the report says about the search."""
    checks = plug_in_checks()
    try:
        found, failed = pass_findings(view.model, folder, settings.options)
    except Exception as error:  # a broken model that cannot be imported; TensorRT's own messages follow
        text = f"the graph cannot be searched: {type(error).__name__}: {error}"
        return [], [*checks, Check("rules", "skip", text)]
    status: Status = "skip" if failed else "pass"
    text = f"{counted(len(found), 'finding')} by the passes" + "".join(f"; {words}" for words in failed)
    named = {node_name(node): node for node in view.nodes}
    return [_with_place(finding, view, named) for finding in found], [*checks, Check("rules", status, text)]


def _with_place(finding: Finding, view: ModelView, named: Mapping[str, onnx.NodeProto]) -> Finding:
    node = None if finding.path or finding.where else named.get(finding.node)
    return finding if node is None else replace(finding, where=view.where(node))
