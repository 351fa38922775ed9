"""What is wrong with a model for TensorRT: every refusal, with its place, its reason and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from surgery import model as files
from surgery.context import Options
from surgery.diagnose import building, nested, parsing
from surgery.diagnose.extract import without
from surgery.diagnose.findings import join, of_builder, of_model, of_node
from surgery.diagnose.static import pass_findings, table_findings
from surgery.diagnose.subject import Subject, name_of
from surgery.diagnose.workspace import Workspace
from verify import tensorrt
from verify.report import Check, Finding, Report, Status

__all__ = ["Settings", "diagnose"]


@dataclass(frozen=True)
class Settings:
    """What `diagnose` is asked for.

    build     run the builder after the parser
    profiles  {input: (min, opt, max)} for dynamic inputs; None lets the adapter guess
    seconds   how long to go on looking for further refusals after the first
    options   target and selection of the passes
    """

    build: bool = True
    profiles: Mapping[str, Sequence[Sequence[int]]] | None = None
    seconds: float = 300.0
    options: Options = field(default_factory=Options)


def diagnose(path: str | os.PathLike[str], settings: Settings | None = None) -> Report:
    """Everything TensorRT refuses in the ONNX file at `path`.

    Static rules first, then the real parser, then the real builder; without TensorRT the target's table stands in.

    Raises:
        SurgeonError: the file cannot be read.
    """
    settings = settings or Settings()
    file = Path(path)
    subject = Subject(files.load(file))
    report = Report(str(file))
    static = _static(subject, str(file.parent), settings, report)
    if not tensorrt.available():
        for name in ("tensorrt-parser", "tensorrt-builder"):
            report.checks.append(Check(name, "skip", f"TensorRT is not installed; {tensorrt.INSTALL}"))
        tables = list(table_findings(subject, settings.options.target))
        report.findings = join(tables, static, judged=False)
        return report
    with Workspace(subject.model, file.parent) as work:
        refused, judged = _ask_tensorrt(file, subject, work, settings, report)
    report.findings = _for_target(join(refused, static, judged), settings.options.target)
    return report


def _static(subject: Subject, folder: str, settings: Settings, report: Report) -> list[Finding]:
    try:
        found, failed = pass_findings(subject.model, folder, settings.options)
    except Exception as error:  # graph import of a broken model; TensorRT's own words follow
        report.checks.append(Check("rules", "skip", f"the graph cannot be searched: {type(error).__name__}: {error}"))
        return []
    status: Status = "skip" if failed else "pass"
    text = f"{len(found)} findings by the passes" + "".join(f"; {words}" for words in failed)
    report.checks.append(Check("rules", status, text))
    return [_with_place(finding, subject) for finding in found]


def _with_place(finding: Finding, subject: Subject) -> Finding:
    if finding.path or finding.where:
        return finding
    node = next((node for node in subject.nodes if name_of(node) == finding.node), None)
    return finding if node is None else replace(finding, where=subject.where(node))


def _ask_tensorrt(
    file: Path, subject: Subject, work: Workspace, settings: Settings, report: Report
) -> tuple[list[Finding], bool]:
    """Findings of parser and builder, and whether both have judged the whole file."""
    started = time.monotonic()
    first = tensorrt.parse(file, limit=max(settings.seconds, 60.0))
    parsed = (
        parsing.Parsed(complete=True) if not first else parsing.all_refusals(subject, work, first, settings.seconds)
    )
    findings = _parser_findings(subject, work, parsed, settings.seconds)
    report.checks.append(_parser_check(first, findings, parsed, time.monotonic() - started))
    if not settings.build:
        report.checks.append(Check("tensorrt-builder", "skip", "not asked for (--no-build)"))
        return findings, parsed.complete
    if not parsed.complete:
        report.checks.append(Check("tensorrt-builder", "skip", "the parser does not take the model"))
        return findings, False
    built, check = _build(file, subject, work, parsed, settings)
    report.checks.append(check)
    findings += [of_builder(subject, group, message, reason) for group, message, reason in built.refused]
    return findings, built.complete


def _parser_check(first: list[Any], findings: list[Finding], parsed: parsing.Parsed, seconds: float) -> Check:
    figures = {"refusals": len(findings), "seconds": round(seconds, 3), "version": tensorrt.version()}
    if not first:
        return Check("tensorrt-parser", "pass", f"{tensorrt.version()} takes the model", figures)
    text = f"{tensorrt.version()} refuses {len(findings)} place{'' if len(findings) == 1 else 's'}"
    if not parsed.complete:
        text += "; there may be more, which could not be reached"
    return Check("tensorrt-parser", "fail", text, figures)


def _parser_findings(subject: Subject, work: Workspace, parsed: parsing.Parsed, seconds: float) -> list[Finding]:
    findings: list[Finding] = []
    for index, refusal in parsed.refused:
        if index < 0:
            findings.append(of_model(subject, refusal))
            continue
        inside = _inside(subject, work, index, seconds) if refusal.stack else []
        path = nested.path_of(subject.nodes[index], refusal.stack) if refusal.stack and not inside else ""
        finding = of_node(subject, index, refusal, path)
        if index in parsed.follows:
            cause = name_of(subject.nodes[parsed.follows[index]])
            finding = replace(finding, severity="warning", message=f"{finding.message}; may only follow from '{cause}'")
        findings += inside or [finding]
    return findings


def _inside(subject: Subject, work: Workspace, index: int, seconds: float) -> list[Finding]:
    """Refusals in the bodies of a node, each body parsed as a model of its own."""
    found: list[Finding] = []
    for path, model in nested.body_models(subject, index):
        body = Subject(model)
        first = tensorrt.parse(nested.write(model, work.folder))
        if first:
            with Workspace(model, work.folder) as inner:
                parsed = parsing.all_refusals(body, inner, first, seconds)
            found += [of_node(body, i, refusal, path) for i, refusal in parsed.refused if i >= 0 and not refusal.stack]
    return found


def _build(
    file: Path, subject: Subject, work: Workspace, parsed: parsing.Parsed, settings: Settings
) -> tuple[building.Built, Check]:
    """Build the file, or what is left of it when the parser's refusals are cut out."""
    profiles: Any = settings.profiles
    limit = max(settings.seconds, 60.0)
    if parsed.dead:
        rest, alive, _ = without(subject, work.model, parsed.dead)
        if not alive or not rest.graph.output:
            return building.Built(complete=True), Check("tensorrt-builder", "skip", "nothing is left to build")
        first = tensorrt.build(work.write(rest), building.fitting(rest, profiles), limit=limit)
        what = "the rest of the model"
    else:
        first, what = tensorrt.build(file, profiles, limit=limit), "the model"
    figures = {"seconds": round(first.seconds, 3), "engine_bytes": first.engine_bytes, "profiles": first.profiles}
    built = building.all_refusals(subject, work, first, parsed.dead, profiles, settings.seconds)
    if first.ok:
        guessed = " with a guessed profile" if first.derived and first.profiles else ""
        return built, Check("tensorrt-builder", "pass", f"builds {what}{guessed}", figures)
    text = f"refuses {len(built.refused)} place{'' if len(built.refused) == 1 else 's'} of {what}"
    return built, Check("tensorrt-builder", "fail", text, figures)


def _for_target(findings: list[Finding], target: str) -> list[Finding]:
    """For full TensorRT, what only TensorRT-RTX refuses is a note."""
    if target != "tensorrt":
        return findings
    return [replace(f, severity="note") if f.details.get("rtx_only") else f for f in findings]
