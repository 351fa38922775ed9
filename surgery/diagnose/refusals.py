"""Asks the real parser and the real builder until nothing more is refused, and says so as findings and checks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from surgery.diagnose import builder, parser, subgraphs
from surgery.diagnose.findings import of_builder, of_model, of_node, of_profile
from surgery.diagnose.model_view import Subject, name_of
from surgery.diagnose.scratch import Workspace
from surgery.diagnose.submodel import without
from verify.report import Check, Finding, Severity, counted
from verify.tensorrt import engine

PROFILE_VALUES = "SG839"


@dataclass(frozen=True)
class Case:
    """A refusal with the graph it happened in, so that it can be cut out and shown again.

    subject  the main graph, or the body of an If or Loop as a model of its own
    nodes    indices of the nodes that are refused together, or of one that reads the refused tensor
    code     TensorRT's error code for the parser, "" for the builder
    message  TensorRT's words
    op       the operator TensorRT named, which may sit inside the node
    """

    finding: Finding
    subject: Subject
    nodes: tuple[int, ...]
    code: str
    message: str
    op: str = ""


@dataclass
class Asked:
    """What parser and builder said; `judged` when both have seen the whole file."""

    findings: list[Finding] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    judged: bool = False


def ask(
    file: Path,
    subject: Subject,
    work: Workspace,
    build: bool,
    profiles: Mapping[str, Sequence[Sequence[int]]] | None,
    seconds: float,
) -> Asked:
    """Run the parser on `file`, then on what is left of it, and the builder likewise, for about `seconds` each."""
    started, asked = time.monotonic(), Asked()
    first = engine.parse(file, limit=max(seconds, 60.0))
    parsed = parser.all_refusals(subject, work, first, seconds) if first else parser.Parsed(complete=True)
    asked.cases = _parser_cases(subject, work, parsed, seconds)
    asked.findings = [case.finding for case in asked.cases]
    asked.checks.append(_parser_check(bool(first), len(asked.findings), parsed, time.monotonic() - started))
    if not build or not parsed.complete:
        why = "the parser does not take the model" if build else "not asked for (--no-build)"
        asked.checks.append(Check("tensorrt-builder", "skip", why))
        asked.judged = not build and parsed.complete
        return asked
    _build(asked, file, subject, work, parsed, profiles, seconds)
    return asked


def _parser_check(refused: bool, count: int, parsed: parser.Parsed, seconds: float) -> Check:
    figures = {"refusals": count, "seconds": round(seconds, 3), "version": engine.version()}
    if not refused:
        return Check("tensorrt-parser", "pass", f"{engine.version()} takes the model", figures)
    text = f"{engine.version()} refuses {counted(count, 'place')}"
    if not parsed.complete:
        text += "; there may be more, which could not be reached"
    return Check("tensorrt-parser", "fail", text, figures)


def _parser_cases(subject: Subject, work: Workspace, parsed: parser.Parsed, seconds: float) -> list[Case]:
    cases: list[Case] = []
    for index, refusal in parsed.refused:
        if index < 0:
            reader = tuple(subject.readers.get(refusal.tensor, [])[:1])
            finding = of_model(subject, refusal)
            cases.append(Case(finding, subject, reader, refusal.code, refusal.message, refusal.op))
            continue
        inside = _inside(subject, work, index, seconds) if refusal.stack else []
        path = subgraphs.path_of(subject.nodes[index], refusal.stack) if refusal.stack and not inside else ""
        finding = of_node(subject, index, refusal, path)
        if index in parsed.follows:
            cause = name_of(subject.nodes[parsed.follows[index]])
            finding = replace(finding, severity="warning", message=f"{finding.message}; may only follow from '{cause}'")
        cases += inside or [Case(finding, subject, (index,), refusal.code, refusal.message, refusal.op)]
    return cases


def _inside(subject: Subject, work: Workspace, index: int, seconds: float) -> list[Case]:
    """Refusals in the bodies of a node, each body parsed as a model of its own."""
    found: list[Case] = []
    for path, model in subgraphs.body_models(subject, index):
        body = Subject(model)
        first = engine.parse(subgraphs.write(model, work.folder))
        if not first:
            continue
        with Workspace(model, work.folder) as inner:
            parsed = parser.all_refusals(body, inner, first, seconds)
        found += [
            Case(of_node(body, i, refusal, path), body, (i,), refusal.code, refusal.message, refusal.op)
            for i, refusal in parsed.refused
            if i >= 0 and not refusal.stack
        ]
    return found


def _build(
    asked: Asked,
    file: Path,
    subject: Subject,
    work: Workspace,
    parsed: parser.Parsed,
    profiles: Any,
    seconds: float,
) -> None:
    """Build the file, or what is left of it when the parser's refusals are cut out, and note what comes of it."""
    limit, what = max(seconds, 60.0), "the model"
    if parsed.dead:
        rest, alive, _ = without(subject, work.model, parsed.dead)
        if not alive or not rest.graph.output:
            asked.checks.append(Check("tensorrt-builder", "skip", "nothing is left to build"))
            asked.judged = True
            return
        what = "the rest of the model"
        first = engine.build(work.write(rest), builder.fitting(rest, profiles), limit=limit)
    else:
        first = engine.build(file, profiles, limit=limit)
    built = builder.all_refusals(subject, work, first, parsed.dead, profiles, seconds)
    cases = _builder_cases(subject, built, guessed=first.derived and bool(first.profiles))
    asked.cases += cases
    asked.findings += [*(case.finding for case in cases), *of_profile(subject, first)]
    asked.judged = built.complete
    asked.checks.append(_builder_check(first, built, what))


def _builder_cases(subject: Subject, built: builder.Built, guessed: bool) -> list[Case]:
    cases = []
    for group, message, reason in built.refused:
        finding = of_builder(subject, group, message, reason)
        if guessed:
            # A guess that does not fit is no fault of the model.
            severity: Severity = "warning" if reason.code == PROFILE_VALUES else "error"
            finding = replace(finding, severity=severity, message=f"{finding.message}, at sizes guessed here")
        cases.append(Case(finding, subject, group, "", message))
    return cases


def _builder_check(first: engine.BuildResult, built: builder.Built, what: str) -> Check:
    figures = {"seconds": round(first.seconds, 3), "engine_bytes": first.engine_bytes, "profiles": first.profiles}
    if first.ok:
        guessed = " with a guessed profile" if first.derived and first.profiles else ""
        return Check("tensorrt-builder", "pass", f"builds {what}{guessed}", figures)
    if first.derived and built.refused and all(reason.code == PROFILE_VALUES for _, _, reason in built.refused):
        text = "the sizes guessed for its dynamic inputs do not fit; give --input-shape"
        return Check("tensorrt-builder", "skip", text, figures)
    text = f"refuses {counted(len(built.refused), 'place')} of {what}"
    return Check("tensorrt-builder", "fail", text, figures)
