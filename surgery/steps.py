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
from surgery.guard.reference import Reference
from surgery.passes import all_passes, check_codes, plug_in_checks
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.context import Context
from surgery.pipeline.options import Options, check_names
from surgery.pipeline.rule import Pass
from surgery.precision.step import Precision, lowered_model
from verify.errors import CheckFailed
from verify.model.external import external_tensors
from verify.report import Check, Finding, Report, counted

MOST_LEFT_OUT = 8  # passes, before a model that is still wrong is given up


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
    """Run the passes and prove that the result computes the same.

    A pass that makes the result wrong is left out and the others run again. Where the original cannot be run, only
    exact passes are applied.

    Args:
        pending: file to put the result in, which is not in place yet; None keeps it in memory.
        externalize: move large tensors out of the model file.

    Raises:
        SurgeonError: an option names nothing, or the model cannot be read.
        CheckFailed: the result is still wrong after `MOST_LEFT_OUT` passes were left out, or nothing could be compared
            under `strict`.
    """
    rules: Sequence[Pass] = all_passes()
    check_codes((*options.select, *options.ignore))
    check_names(options, original.model)
    why, reference = refusal(original.model), None
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
        if parity.status == "skip" and not prove.all_exact(outcome, rules):
            rules = [rule for rule in rules if rule.exact]
            outcome = apply_passes(original.model, original.folder, rules, options)
            runnable = staged(original, outcome.model, pending, externalize)
    valid = prove.well_formed(original, outcome.model, runnable)
    left_out: list[Check] = []
    while outcome.model is not original.model and "fail" in (parity.status, valid.status):
        failed = parity if parity.status == "fail" else valid
        culprit = _culprit(original, rules, options, failed, reference)
        name = f"{culprit.code} ({culprit.name})"
        if len(left_out) == MOST_LEFT_OUT:
            raise CheckFailed(f"nothing was written: {failed.message}; the result differs since {name}")
        left_out.append(Check("pass", "skip", f"{name} was left out: with it {failed.message}"))
        rules = [rule for rule in rules if rule is not culprit]
        outcome = apply_passes(original.model, original.folder, rules, options)
        runnable = staged(original, outcome.model, pending, externalize)
        if reference is not None and reference.sets and outcome.model is not original.model:
            parity = prove.compare_whole(original, outcome, runnable, reference, rules, options)
        valid = prove.well_formed(original, outcome.model, runnable)
    if outcome.model is original.model:
        parity = Check("parity", "pass", "unchanged, byte for byte")
    if parity.status == "skip" and guard.strict:
        raise CheckFailed(f"nothing was written: {parity.message}")
    troubles = [Check("pass", "skip", trouble) for trouble in outcome.context.troubles]
    checks = (*left_out, *troubles, parity, *([] if outcome.model is original.model else [valid]))
    return Result(outcome.model, runnable, outcome, why, checks)


def _culprit(
    original: Original, rules: Sequence[Pass], options: Options, failed: Check, reference: Reference | None
) -> Pass:
    """The pass with which the check fails."""

    def is_right(outcome: Outcome, used: Sequence[Pass]) -> bool:
        if failed.name != "parity" or reference is None:
            return prove.well_formed(original, outcome.model, outcome.model).status != "fail"
        check = prove.compare_whole(original, outcome, outcome.model, reference, used, options)
        return check.status == "pass"

    return prove.find_culprit(original, rules, options, is_right)


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
    if check.status == "skip":
        return replace(result, checks=(*result.checks, check))
    runnable: Any = lowered
    if pending is not None:
        pending.write(lowered, pending.path.parent, outside)
        runnable = str(pending.path)
    valid = prove.well_formed(original, lowered, runnable)
    if valid.status == "fail":
        raise CheckFailed(f"nothing was written: {valid.message}")
    kept = [found for found in result.checks if found.name != valid.name]
    return replace(result, model=lowered, runnable=runnable, checks=(*kept, check, valid))


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
