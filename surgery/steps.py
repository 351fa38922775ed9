"""The steps of `fix` between reading and writing: run the passes and prove the result, lower precision, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from surgery.files import model_file as files
from surgery.graph.read import refusal
from surgery.guard import prove
from surgery.guard.original import Original
from surgery.guard.reference import Reference
from surgery.passes import all_passes, check_codes
from surgery.pipeline.apply import Outcome, apply_passes
from surgery.pipeline.context import Context
from surgery.pipeline.options import Options, check_names
from surgery.pipeline.rule import Pass
from verify.errors import CheckFailed
from verify.model.external import external_tensors
from verify.report import Check

if TYPE_CHECKING:
    from surgery.precision.step import Precision

UNCHANGED = "unchanged, byte for byte"
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
    rules = all_passes(options.passes)
    check_codes((*options.select, *options.ignore), rules)
    check_names(options, original.model)
    why = refusal(original.model)
    outcome = Outcome(original.model, [], Context(options)) if why else _applied(original, rules, options)
    write = partial(staged, original, pending=pending, externalize=externalize)
    attempt, reference = _first_attempt(original, outcome, rules, options, guard, write)
    left_out: list[Check] = []
    while (found := _failed(attempt, original, options, reference)) is not None:
        failed, suspects = found
        culprit = _culprit(original, suspects, options, failed, reference)
        name = f"{culprit.code} ({culprit.name})"
        if len(left_out) == MOST_LEFT_OUT:
            raise CheckFailed(f"nothing was written: {failed.message}; the result differs since {name}")
        left_out.append(Check("pass", "skip", f"{name} was left out: with it {failed.message}"))
        attempt = _attempt_without(culprit, attempt, original, options, reference, write)
    outcome, checks = attempt.outcome, [attempt.parity, attempt.valid]
    if outcome.model is original.model:
        checks = [Check("parity", "pass", UNCHANGED)]
    if checks[0].status == "skip" and guard.strict:
        raise CheckFailed(f"nothing was written: {checks[0].message}")
    troubles = [Check("pass", "skip", trouble) for trouble in dict.fromkeys(outcome.context.troubles)]
    return Result(outcome.model, attempt.runnable, outcome, why, (*left_out, *troubles, *checks))


@dataclass(frozen=True)
class _Attempt:
    """The result of some passes on the original, with its checks "parity" and "onnx.checker"."""

    rules: Sequence[Pass]
    outcome: Outcome
    runnable: Any
    parity: Check
    valid: Check

    def failed(self, original: Original) -> Check | None:
        """The check that fails; None where none does and where the model is the original."""
        if self.outcome.model is original.model:
            return None
        return next((check for check in (self.parity, self.valid) if check.status == "fail"), None)


def _first_attempt(
    original: Original,
    outcome: Outcome,
    rules: Sequence[Pass],
    options: Options,
    guard: Guard,
    write: Callable[[onnx.ModelProto], Any],
) -> tuple[_Attempt, Reference | None]:
    """Write and compare the outcome; with exact passes only, if the original cannot be run."""
    if outcome.model is original.model or not guard.on:
        parity, runnable = Check("parity", "skip", "unchecked: the guard was switched off"), write(outcome.model)
        return _Attempt(rules, outcome, runnable, parity, prove.well_formed(original, outcome.model, runnable)), None
    with prove.original_running(original, outcome, rules, options, guard.check_inputs) as running:
        runnable = write(outcome.model)
        parity, reference = prove.prove(original, outcome, runnable, running, rules, options)
    if not reference.sets and not prove.all_exact(outcome, rules):
        rules = [rule for rule in rules if rule.exact]
        outcome = _applied(original, rules, options)
        runnable = write(outcome.model)
        parity = prove.compare_whole(original, outcome, runnable, reference, rules, options)
    valid = prove.well_formed(original, outcome.model, runnable, parity.status == "pass")
    return _Attempt(rules, outcome, runnable, parity, valid), reference


def _attempt_without(
    culprit: Pass,
    attempt: _Attempt,
    original: Original,
    options: Options,
    reference: Reference | None,
    write: Callable[[onnx.ModelProto], Any],
) -> _Attempt:
    """Run the passes of an attempt again, without one of them."""
    rules = [rule for rule in attempt.rules if rule is not culprit]
    outcome, parity = _applied(original, rules, options), attempt.parity
    runnable = write(outcome.model)
    if reference is not None and outcome.model is not original.model:
        parity = prove.compare_whole(original, outcome, runnable, reference, rules, options)
    valid = prove.well_formed(original, outcome.model, runnable, parity.status == "pass")
    return _Attempt(rules, outcome, runnable, parity, valid)


def _failed(
    attempt: _Attempt, original: Original, options: Options, reference: Reference | None
) -> tuple[Check, Sequence[Pass]] | None:
    """The check that fails and the passes that may have caused it, which are those that changed something.

    None where no check fails. Passes that may move NaN hide, where they do, what the others do with it: these are
    compared by themselves then.
    """
    failed = attempt.failed(original)
    if failed is not None:
        return failed, prove.used_passes(attempt.outcome, attempt.rules) or attempt.rules
    if reference is None or not attempt.parity.figures.get("moved_nan"):
        return None
    others = [rule for rule in attempt.rules if not prove.may_move_nan(rule)]
    outcome = _applied(original, others, options)
    if outcome.model is original.model:
        return None
    parity = prove.compare_whole(original, outcome, outcome.model, reference, others, options)
    return (parity, prove.used_passes(outcome, others) or others) if parity.status == "fail" else None


def _applied(original: Original, rules: Sequence[Pass], options: Options) -> Outcome:
    return apply_passes(original.model, original.folder, rules, options)


def _culprit(
    original: Original, rules: Sequence[Pass], options: Options, failed: Check, reference: Reference | None
) -> Pass:
    """The pass with which the check fails."""

    def is_right(outcome: Outcome, used: Sequence[Pass]) -> bool:
        if failed.name != "parity" or reference is None:
            return prove.well_formed(original, outcome.model, outcome.model).status != "fail"
        return prove.compare_whole(original, outcome, outcome.model, reference, used, options).status != "fail"

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
    from surgery.precision.step import lowered_model

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
    kept = [_of_float32(found) for found in result.checks if found.name != valid.name]
    return replace(result, model=lowered, runnable=runnable, checks=(*kept, check, valid))


def _of_float32(check: Check) -> Check:
    """The check of the float32 model, with words that do not speak of the file in half precision."""
    if check.name != "parity":
        return check
    message = "the passes changed nothing" if check.message == UNCHANGED else check.message
    return replace(check, message=f"before half precision: {message}")
