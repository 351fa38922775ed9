"""Runs the real parser and the real builder until nothing more is refused; the results are findings and checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from surgery.diagnose.findings import of_builder, of_model, of_node, of_profile
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search import builder, parser, subgraphs
from surgery.diagnose.search.submodel import without
from verify.model.walk import node_name
from verify.report import Check, Finding, Severity, counted
from verify.tensorrt import engine

PROFILE_VALUES = "SG839"


@dataclass(frozen=True)
class Case:
    """A refusal with the graph it happened in, so that it can be cut out and shown again.

    view     the main graph, or the body of an If or Loop as a model of its own
    nodes    indices of the nodes that are refused together, or of one that reads the refused tensor
    code     TensorRT's error code for the parser, "" for the builder
    message  TensorRT's message
    op       the operator TensorRT named, which may sit inside the node
    """

    finding: Finding
    view: ModelView
    nodes: tuple[int, ...]
    code: str
    message: str
    op: str = ""


@dataclass
class Refusals:
    """What parser and builder refuse; `complete` when both have seen the whole file."""

    findings: list[Finding] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    complete: bool = False


def find_refusals(
    file: Path,
    view: ModelView,
    scratch: ScratchFolder,
    build: bool,
    profiles: Mapping[str, Sequence[Sequence[int]]] | None,
    seconds: float,
    explained: Callable[[str], bool] | None = None,
) -> Refusals:
    """Run the parser on `file`, then on the nodes it accepts, and the builder likewise, for about `seconds` each.

    Where the builder fails with a message that is `explained`, its cause is not searched, and the result is incomplete.
    """
    found, parsed = parser_refusals(file, view, scratch, seconds)
    add_builder_refusals(found, file, view, scratch, parsed, build, profiles, seconds, explained)
    return found


def parser_refusals(
    file: Path, view: ModelView, scratch: ScratchFolder, seconds: float
) -> tuple[Refusals, parser.Parsed]:
    """Run the parser on `file`, then on the nodes it accepts, for about `seconds`."""
    started, found = time.monotonic(), Refusals()
    first = engine.parse(file, limit=max(seconds, 60.0))
    parsed = parser.all_refusals(view, scratch, first, seconds) if first else parser.Parsed(complete=True)
    found.cases = _parser_cases(view, scratch, parsed, seconds)
    found.findings = [case.finding for case in found.cases]
    found.checks.append(_parser_check(bool(first), len(found.findings), parsed, time.monotonic() - started))
    return found, parsed


def add_builder_refusals(
    found: Refusals,
    file: Path,
    view: ModelView,
    scratch: ScratchFolder,
    parsed: parser.Parsed,
    build: bool,
    profiles: Mapping[str, Sequence[Sequence[int]]] | None,
    seconds: float,
    explained: Callable[[str], bool] | None = None,
) -> None:
    """Add to `found` what the builder refuses, if it is to run and the parser accepts what is built; see above."""
    if not build or not parsed.complete:
        why = "the parser does not accept the model" if build else "not asked for (--no-build)"
        found.checks.append(Check("tensorrt-builder", "skip", why))
        found.complete = not build and parsed.complete
        return
    _build(found, file, view, scratch, parsed, profiles, seconds, explained)


def _parser_check(refused: bool, count: int, parsed: parser.Parsed, seconds: float) -> Check:
    figures = {"refusals": count, "seconds": round(seconds, 3), "version": engine.version()}
    if not refused:
        return Check("tensorrt-parser", "pass", f"{engine.version()} accepts the model", figures)
    text = f"{engine.version()} refuses {counted(count, 'place')}"
    if not parsed.complete:
        text += "; there may be more behind them"
    return Check("tensorrt-parser", "fail", text, figures)


def _parser_cases(view: ModelView, scratch: ScratchFolder, parsed: parser.Parsed, seconds: float) -> list[Case]:
    cases: list[Case] = []
    for index, refusal in parsed.refused:
        if index < 0:
            reader = tuple(view.readers.get(refusal.tensor, [])[:1])
            finding = of_model(view, refusal)
            cases.append(Case(finding, view, reader, refusal.code, refusal.message, refusal.op))
            continue
        inside = _inside(view, scratch, index, seconds) if refusal.stack else []
        path = subgraphs.path_of(view.nodes[index], refusal.stack) if refusal.stack and not inside else ""
        finding = of_node(view, index, refusal, path)
        if index in parsed.follows:
            cause = node_name(view.nodes[parsed.follows[index]])
            finding = replace(finding, severity="warning", message=f"{finding.message}; may only follow from '{cause}'")
        cases += inside or [Case(finding, view, (index,), refusal.code, refusal.message, refusal.op)]
    return cases


def _inside(view: ModelView, scratch: ScratchFolder, index: int, seconds: float) -> list[Case]:
    """Refusals in the bodies of a node, each body parsed as a model of its own."""
    found: list[Case] = []
    for path, model in subgraphs.body_models(view, index):
        body = ModelView(model)
        first = engine.parse(subgraphs.write(model, scratch.folder))
        if not first:
            continue
        with ScratchFolder(model, scratch.folder) as inner:
            parsed = parser.all_refusals(body, inner, first, seconds)
        found += [
            Case(of_node(body, i, refusal, path), body, (i,), refusal.code, refusal.message, refusal.op)
            for i, refusal in parsed.refused
            if i >= 0 and not refusal.stack
        ]
    return found


def _build(
    found: Refusals,
    file: Path,
    view: ModelView,
    scratch: ScratchFolder,
    parsed: parser.Parsed,
    profiles: Any,
    seconds: float,
    explained: Callable[[str], bool] | None,
) -> None:
    """Build the file, or what remains of it without the nodes that the parser refuses, and record the result."""
    limit, what = max(seconds, 60.0), "the model"
    if parsed.removed:
        rest, remaining, _ = without(view, scratch.model, parsed.removed)
        if not remaining or not rest.graph.output:
            found.checks.append(Check("tensorrt-builder", "skip", "no node remains to be built"))
            found.complete = True
            return
        what = "the rest of the model"
        first = engine.build(scratch.write(rest), builder.fitting(rest, profiles), limit=limit)
    else:
        first = engine.build(file, profiles, limit=limit)
    if not first.ok and explained is not None and explained(builder.main_error(first)):
        return
    built = builder.all_refusals(view, scratch, first, parsed, profiles, seconds)
    cases = _builder_cases(view, built, guessed=first.derived and bool(first.profiles))
    found.cases += cases
    found.findings += [*(case.finding for case in cases), *of_profile(view, first)]
    found.complete = built.complete
    found.checks.append(_builder_check(first, built, what))


def _builder_cases(view: ModelView, built: builder.Built, guessed: bool) -> list[Case]:
    cases = []
    for group, message, reason in built.refused:
        finding = of_builder(view, group, message, reason)
        if guessed:
            # Guessed sizes that do not fit are no fault of the model.
            severity: Severity = "warning" if reason.code == PROFILE_VALUES else "error"
            finding = replace(finding, severity=severity, message=f"{finding.message} (tried with guessed sizes)")
        cases.append(Case(finding, view, group, "", message))
    return cases


def _builder_check(first: engine.BuildResult, built: builder.Built, what: str) -> Check:
    figures = {"seconds": round(first.seconds, 3), "engine_bytes": first.engine_bytes, "profiles": first.profiles}
    if first.ok and first.derived and first.profiles:
        text = f"builds {what} at guessed sizes; other sizes are not checked: give --input-shape"
        return Check("tensorrt-builder", "skip", text, figures)
    if first.ok:
        return Check("tensorrt-builder", "pass", f"builds {what}", figures)
    if first.derived and built.refused and all(reason.code == PROFILE_VALUES for _, _, reason in built.refused):
        text = "sizes unknown, and the guessed ones do not fit the model: give --input-shape"
        return Check("tensorrt-builder", "skip", text, figures)
    text = f"refuses {counted(len(built.refused), 'place')} of {what}"
    return Check("tensorrt-builder", "fail", text, figures)
