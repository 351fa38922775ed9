"""The steps of `fix` between reading and writing: run the passes and prove the result, lower precision, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from surgery.files import model_file as files
from surgery.graph.read import refusal
from surgery.guard import prove
from surgery.guard.prove import Original
from surgery.passes import all_passes, check_codes, plug_in_checks
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.context import Context
from surgery.pipeline.options import Options
from surgery.precision.step import Precision, lowered_model
from verify.errors import CheckFailed
from verify.model.external import external_tensors
from verify.report import Check, Finding, Report, counted


@dataclass(frozen=True)
class Guard:
    """How the result is compared with the original.

    check_inputs  inputs to compare on instead of drawn ones: an .npz file, or arrays by name
    on            compare at all
    strict        fail where nothing could be compared
    """

    check_inputs: Any = None
    on: bool = True
    strict: bool = False


@dataclass(frozen=True)
class Result:
    """The model after the steps so far.

    model     what will be written; the original object where nothing changed
    runnable  the same model as the runner takes it: the path of a file not yet in place, or `model`
    outcome   what the passes did
    refusal   why the model can only be passed on as it is, or ""
    checks    what the steps found out
    """

    model: onnx.ModelProto
    runnable: Any
    outcome: Outcome
    refusal: str = ""
    checks: tuple[Check, ...] = ()


def rewrite(
    original: Original, options: Options, guard: Guard, pending: files.Pending | None, externalize: bool
) -> Result:
    """Run the passes and prove that the result computes the same; only exact passes where the original cannot be run.

    Args:
        pending: file to put the result in, which is not in place yet; None keeps it in memory.
        externalize: move large tensors out of the model file.

    Raises:
        SurgeonError: an option names nothing, or the model cannot be read.
        CheckFailed: the result computes something else, or nothing could be compared under `strict`.
    """
    rules = all_passes()
    check_codes((*options.select, *options.ignore))
    why = refusal(original.model)
    if why:
        outcome = Outcome(original.model, [], Context(options))
    else:
        outcome = apply_passes(original.model, original.folder, rules, options)
    if outcome.model is original.model or not guard.on:
        runnable = staged(original, outcome.model, pending, externalize)
        parity = Check("parity", "skip", "unchecked: the guard was switched off")
    else:
        with prove.original_running(original, outcome, rules, options, guard.check_inputs) as running:
            runnable = staged(original, outcome.model, pending, externalize)
            parity, reference = prove.prove(original, outcome, runnable, running, rules, options)
        if parity.status == "fail":
            culprit = prove.find_culprit(original, reference, rules, options)
            advice = f"it differs since {culprit.code} ({culprit.name}); try --ignore {culprit.code}"
            raise CheckFailed(f"nothing was written: {parity.message}; {advice}")
        if parity.status == "skip" and not prove.all_exact(outcome, rules):
            outcome = apply_passes(original.model, original.folder, [rule for rule in rules if rule.exact], options)
            runnable = staged(original, outcome.model, pending, externalize)
    if outcome.model is original.model:
        parity = Check("parity", "pass", "unchanged, byte for byte")
    if parity.status == "skip" and guard.strict:
        raise CheckFailed(f"nothing was written: {parity.message}")
    troubles = [Check("pass", "skip", trouble) for trouble in outcome.context.troubles]
    return Result(outcome.model, runnable, outcome, why, (*troubles, parity))


def staged(original: Original, model: onnx.ModelProto, pending: files.Pending | None, externalize: bool) -> Any:
    """The model as the runner takes it: written to the pending file, where there is one."""
    if pending is None:
        return model
    if model is original.model and not externalize and not pending.must_move(model, original.folder):
        pending.copy(original.runnable)
    else:
        pending.write(model, original.folder, externalize)
    return str(pending.path)


def lower(
    result: Result,
    original: Original,
    options: Options,
    precision: Precision | None,
    pending: files.Pending | None,
    target: Path | None,
) -> Result:
    """The result in half precision, in place of the float32 model in the pending file; as it is without `precision`.

    Args:
        target: where the result will be written.

    Raises:
        CheckFailed: an output moves by more than the budget.
        SurgeonError: there are no inputs to measure on.
    """
    if precision is None:
        return result
    model, outside = result.model, next(external_tensors(result.model), None) is not None
    if outside:
        model = onnx.load(result.runnable) if pending is not None else files.with_weights(model, original.folder)
    lowered, check = lowered_model(model, result.runnable, target, precision, options.skip_nodes)
    runnable: Any = lowered
    if pending is not None:
        pending.write(lowered, pending.path.parent, outside)
        runnable = str(pending.path)
    return replace(result, model=lowered, runnable=runnable, checks=(*result.checks, check))


def well_formed(result: Result, original: Original) -> Result:
    """The result after ONNX's own checker accepted it, unless nothing changed.

    Raises:
        CheckFailed: the result is not valid and the original is.
    """
    if result.model is original.model:
        return result
    return replace(result, checks=(*result.checks, prove.well_formed(original, result.model, result.runnable)))


def report(result: Result, original: Original, size: int, started: float) -> Report:
    """What was done to the model, in figures.

    Args:
        size: bytes of the result.
        started: `time.perf_counter()` when the work began.
    """
    applied = result.outcome.applied
    figures = {
        "nodes_before": len(original.model.graph.node),
        "nodes_after": len(result.model.graph.node),
        "bytes_before": original.size,
        "bytes_after": size,
        "seconds": round(time.perf_counter() - started, 3),
        "passes": dict(Counter(finding.code for finding in applied)),
        "op_counts": {"before": _operators(original.model), "after": _operators(result.model)},
    }
    message = f"left as it is: {result.refusal}" if result.refusal else _counts(applied)
    surgery = Check("surgery", "skip" if result.refusal else "pass", message, figures)
    return Report(original.model.graph.name, [surgery, *plug_in_checks(), *result.checks], list(applied))


def _counts(applied: Sequence[Finding]) -> str:
    """How many findings were fixed in the model as it was given, and how many in what the rewrites left behind."""
    first = sum(finding.details["round"] == 1 for finding in applied)
    later = len(applied) - first
    fixed = f"{counted(len(applied), 'finding')} fixed"
    return f"{fixed}: {first:,} in the model, {later:,} that the rewrites left behind" if later else fixed


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator stands in the main graph."""
    return dict(Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.node))
