"""Compares a fixed model with its original, and names the pass that changed a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import onnx

from surgery.guard import checker, eight_bit_steps
from surgery.guard.changed_nodes import find_changed_nodes
from surgery.guard.compare import agreed, compare, open_fixed
from surgery.guard.original import Original
from surgery.guard.partial_run import PartialRun
from surgery.guard.reference import Reference, run_original
from surgery.guard.runnable import runnable_copy
from surgery.guard.traits import is_light, random_outputs, threads_for, uses_half
from surgery.isolated import noted
from surgery.pipeline.apply import Outcome, apply_passes, bound_original
from surgery.pipeline.opset import default_opset
from surgery.pipeline.options import Options
from surgery.pipeline.rule import Pass
from verify.model.infer import passes_inference
from verify.report import Check
from verify.run.known_faults import onnxruntime_fault
from verify.run.saturation import may_saturate
from verify.run.session import Halt, Session, one_line
from verify.run.timeouts import beside, result_of

# Bytes of weights between which only the changed nodes run twice. Smaller models run whole, on NaN and infinity too.
WORTH_PARTIAL = (1 << 22, 1 << 30)
NODE_BYTES = 256  # of a node: with many nodes and few weights, running all twice is quicker than comparing parts


@dataclass(frozen=True)
class Running:
    """The original model, running in another thread, and the changed nodes that run with it."""

    reference: Future[Reference]
    partial: PartialRun | None


@contextmanager
def original_running(
    original: Original, outcome: Outcome, rules: Sequence[Pass], options: Options, check_inputs: Any = None
) -> Iterator[Running]:
    """Run the original beside the body, which can write and load the fixed model in the meantime.

    Args:
        rules: the passes that made `outcome`.
        check_inputs: inputs by name, or an .npz file with them, to use instead of drawn ones.
    """
    parts = partial_run(original, outcome, rules, options)
    model, runnable = original.model, original.runnable
    if has_bindings(options):
        model = runnable = bound_original(original.model, original.folder, options)
    if options.spec is not None:
        model = with_dims_of(model, outcome)

    def call(halt: Halt) -> Reference:
        with noted("the original" if parts is None else "the original with the changed nodes of the result"):
            return run_original(model, runnable, original.folder or None, check_inputs, parts, halt)

    with beside(call) as running:
        yield Running(running, parts)


def with_dims_of(model: onnx.ModelProto, outcome: Outcome) -> onnx.ModelProto:
    """The model with the input dims of the fixed model: a spec asks for them, and inputs of other sizes do not fit."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fixed = {value.name: value for value in outcome.model.graph.input}
    for value in copy.graph.input:
        other = fixed.get(outcome.context.renamed_inputs.get(value.name, value.name))
        if other is None or not other.type.HasField("tensor_type"):
            continue
        dims, wanted = value.type.tensor_type.shape.dim, other.type.tensor_type.shape.dim
        for dim, want in zip(dims, wanted, strict=False):
            if not dim.HasField("dim_value"):
                dim.CopyFrom(want)
    return copy


def partial_run(original: Original, outcome: Outcome, rules: Sequence[Pass], options: Options) -> PartialRun | None:
    """How to run only the changed nodes twice, if the models have a size at which that saves time."""
    weights = original.size - NODE_BYTES * len(original.model.graph.node)
    if has_bindings(options) or not WORTH_PARTIAL[0] <= weights <= WORTH_PARTIAL[1]:
        return None
    if random_outputs(original.model) or uses_half(original.model) or may_saturate(original.model):
        return None
    context = outcome.context
    changed = find_changed_nodes(original.model, outcome.model, context.renamed_inputs, context.renamed_outputs)
    if changed is None:
        return None
    exact = all_exact(outcome, rules)
    return PartialRun(changed, original.model, outcome.model, outcome.types, exact, outcome.shapes)


def has_bindings(options: Options) -> bool:
    """Whether options change the inputs or outputs, so that the original has to be changed alike to be compared."""
    return bool(options.set_inputs or options.outputs or options.input_shapes)


def used_passes(outcome: Outcome, rules: Sequence[Pass]) -> list[Pass]:
    """The passes that changed something."""
    codes = {finding.code for finding in outcome.applied}
    return [rule for rule in rules if rule.code in codes]


def all_exact(outcome: Outcome, rules: Sequence[Pass]) -> bool:
    """Whether every pass that changed something is exact."""
    return all(rule.exact for rule in used_passes(outcome, rules))


def prove(
    original: Original,
    outcome: Outcome,
    fixed: Any,
    running: Running,
    rules: Sequence[Pass],
    options: Options,
) -> tuple[Check, Reference]:
    """Compare the fixed model (`fixed`, as the runner takes it) with the running original.

    Returns:
        The check "parity", which fails where both differ and is skipped where the original cannot be run; and what
        the original gave.
    """
    session: Session | None = None
    loads, light = False, is_light(original.model)
    if running.partial is not None:
        with noted("the result"):
            runnable, threads = runnable_copy(outcome.model, fixed), threads_for(original.model)
            session = open_fixed(runnable, "onnxruntime", light, original.folder or None, threads)
        loads, session = not session.error, session if light else None  # the original needs the memory of a large one
    reference = result_of(running.reference)
    agreement = reference.agreement
    if running.partial is not None and agreement is not None and loads and not agreement.trouble:
        return agreed(reference, running.partial), reference
    return compare_whole(original, outcome, fixed, reference, rules, options, session), reference


def compare_whole(
    original: Original,
    outcome: Outcome,
    fixed: Any,
    reference: Reference,
    rules: Sequence[Pass],
    options: Options,
    session: Session | None = None,
) -> Check:
    """Run the whole fixed model on the inputs the original ran on; `session` is the fixed model if it is loaded.

    Where the original ran on none, the check is skipped. It fails if onnxruntime loads the original only.
    """
    if reference.rerun is not None:
        with noted("the original"):
            reference = reference.rerun()
    if not reference.sets and reference.backend != "onnxruntime":
        return _unchecked(reference)
    if session is None or reference.backend != "onnxruntime":
        runnable = runnable_copy(outcome.model, fixed)
        with noted("the result"):
            fault = reference.fault and onnxruntime_fault(outcome.model)
            backend = "reference" if fault else reference.backend
            folder, threads = original.folder or None, threads_for(original.model)
            session = open_fixed(runnable, backend, reference.shared_memory, folder, threads)
    if not reference.sets:
        trouble = f"the fixed model does not load: {session.error}"
        return Check("parity", "fail", trouble, {"tensor": ""}) if session.error else _unchecked(reference)
    ready = session
    used = used_passes(outcome, rules)

    def call(halt: Halt, limits: dict[str, float] | None = None) -> Check:
        return compare(
            reference,
            ready,
            exact=all_exact(outcome, rules),
            renamed_inputs=outcome.context.renamed_inputs,
            renamed_outputs=outcome.context.renamed_outputs,
            removed_inputs=tuple(options.set_inputs),
            removes_overflow=[rule.code for rule in used if rule.removes_overflow],
            moves_nan=_moves_nan(original, outcome, rules),
            limits=limits,
            halt=halt,
        )

    with noted("the result"), beside(call) as comparing:
        check = result_of(comparing)
    steps = [rule.code for rule in used if rule.moves_steps]
    if check.status != "fail" or not steps or has_bindings(options) or may_saturate(original.model):
        return check
    return eight_bit_steps.compare_steps(original, outcome, reference, steps, call) or check


def may_move_nan(rule: Pass) -> bool:
    """Whether NaN or infinity in an input may reach other places with this pass: it says so, or the target needs it."""
    return rule.moves_nan or rule.kind == "replace"


def _moves_nan(original: Original, outcome: Outcome, rules: Sequence[Pass]) -> list[str]:
    """What may have moved NaN and infinity: passes that the target needs, and the conversion of an old opset."""
    codes = [rule.code for rule in used_passes(outcome, rules) if may_move_nan(rule)]
    before, after = default_opset(original.model), default_opset(outcome.model)
    return codes if before == after else [*codes, f"opset {before} written as {after}"]


def _unchecked(reference: Reference) -> Check:
    return Check("parity", "skip", f"unchecked: {reference.reason}; only exact passes were applied")


def find_culprit(
    original: Original, rules: Sequence[Pass], options: Options, is_right: Callable[[Outcome, Sequence[Pass]], bool]
) -> Pass:
    """The first pass of `rules` with which the result is wrong, found by bisection.

    Args:
        is_right: says it of what some of the passes made.
    """
    good, bad = 0, len(rules)
    while bad - good > 1:
        middle = (good + bad) // 2
        outcome = apply_passes(original.model, original.folder, rules[:middle], options)
        right = outcome.model is original.model or is_right(outcome, rules[:middle])
        good, bad = (middle, bad) if right else (good, middle)
    return rules[bad - 1]


def well_formed(original: Original, model: onnx.ModelProto, runnable: Any, compared: bool = False) -> Check:
    """ONNX's own checker on the result, skipped for a fault that the original has too.

    With its inference (full_check) only where the original passes that: many valid models declare what ONNX does not
    infer.

    Args:
        compared: whether both gave outputs of the same shapes. If then only a declared shape of an output is not what
            ONNX infers, the original declares a wrong one, which shows once the shapes in front of it are known. It
            stays, since it is part of the interface.
    """
    if model is original.model:
        return Check("onnx.checker", "pass", "unchanged")
    with_inference = _fault(model, runnable, True)
    if not with_inference:  # nor is there a fault without inference then
        return Check("onnx.checker", "pass", "the result is valid ONNX")
    for full, fault in ((False, _fault(model, runnable, False)), (True, with_inference)):
        if fault and not _fault(original.model, original.runnable, full):
            if full and compared and passes_inference(model, {}):
                return Check(
                    "onnx.checker",
                    "skip",
                    f"the declared shape of an output, which stays, is not what ONNX infers: {fault}",
                )
            return Check("onnx.checker", "fail", f"the result is not valid ONNX: {fault}")
        if fault and not full:
            return Check("onnx.checker", "skip", f"neither the original nor the result passes: {fault}")
    return Check("onnx.checker", "pass", "the result is valid ONNX")


def _fault(model: onnx.ModelProto, runnable: Any, full: bool) -> str:
    """What ONNX's checker says against a model; "" where nothing."""
    try:
        checker.check(model, runnable, full)
    except Exception as error:
        return one_line(error, 200)
    return ""
