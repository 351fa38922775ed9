"""A tolerance for models that round to eight bits where a pass moves a sum by its rounding.

A product of eight-bit numbers that is summed in another order may lie on the other side of the middle between two
eight-bit numbers. The next number is then a step away, and with it the outputs of the model. The original does the same
where its inputs change by a millionth, so it is defined no more precisely than that. Outputs may therefore differ by
twice what those of the original move, and each tensor that changed, computed from tensors of the original, by what sums
in another order may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from surgery.guard.changed_nodes import find_changed_nodes
from surgery.guard.compare import open_fixed
from surgery.guard.original import Original
from surgery.guard.partial_run import Agreement, PartialRun
from surgery.guard.reference import Reference, Values
from surgery.guard.tolerances import CLOSE, ROUNDING, difference
from surgery.guard.traits import threads_for
from surgery.isolated import noted
from surgery.pipeline.apply import Outcome
from verify.report import Check
from verify.run.session import Halt, Session, open_session
from verify.run.timeouts import beside, result_of

CHANGE = 1e-6  # of each input value
TIMES = 3  # that the inputs change
FACTOR = 2.0  # of what the outputs of the original move

Names = Mapping[str, str]


def compare_steps(
    original: Original,
    outcome: Outcome,
    reference: Reference,
    codes: Sequence[str],
    call: Callable[[Halt, dict[str, float]], Check],
) -> Check | None:
    """The comparison where passes move eight-bit numbers by a step; None where it does not pass.

    Args:
        codes: of these passes.
        call: compares the outputs with other limits.
    """
    renamed = outcome.context.renamed_inputs, outcome.context.renamed_outputs
    with noted("the original"):
        folder, threads = original.folder or None, threads_for(original.model)
        session = open_fixed(original.runnable, "onnxruntime", reference.shared_memory, folder, threads)
        moved = movement(session, reference)
    with noted("the result"), beside(lambda halt: call(halt, limits(moved))) as comparing:
        check = result_of(comparing)
    if check.status == "fail":
        return None
    with noted("the original with the changed nodes of the result"):
        found, tensors = local_agreement(original.model, outcome.model, outcome.types, reference, renamed)
    if found.trouble:
        return None
    return replace(check, message=check.message + note(codes, tensors, found.error, moved))


def movement(session: Session, reference: Reference) -> dict[str, float]:
    """By output, the most that the original moves where its float inputs change by a millionth, in parts of its RMS.

    Args:
        session: the original, ready to run.
        reference: what it gave.
    """
    moved: dict[str, float] = {}
    rng = np.random.default_rng(0)
    for values, expected in _ordinary(reference):
        for _ in range(TIMES):
            run = session.run({name: _changed(value, rng) for name, value in values.items()})
            for name, wanted in expected.items() if not run.error else ():
                _, error = difference(wanted, run.outputs[name], exact=False)
                if np.isfinite(error):
                    moved[name] = max(moved.get(name, 0.0), error)
    return moved


def _ordinary(reference: Reference) -> Sequence[tuple[Values, Values]]:
    """Its sets of inputs and outputs without the edge cases: at a sum that is 0, any rounding is too much."""
    return reference.sets[: len(reference.sets) - reference.edge_cases]


def _changed(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    return np.asarray(value * (1 + CHANGE * rng.uniform(-1, 1, value.shape)), value.dtype)


def local_agreement(
    original: onnx.ModelProto,
    fixed: onnx.ModelProto,
    types: Mapping[str, Any],
    reference: Reference,
    renamed: tuple[Names, Names],
) -> tuple[Agreement, int]:
    """How the changed nodes compare where each reads tensors of the original, and how many tensors were compared.

    Args:
        types: NumPy types of the tensors of the fixed model.
        reference: what the original gave; its inputs are used.
        renamed: new names of the inputs and of the outputs by their old names.
    """
    floats = {name for name, kind in types.items() if kind == np.float32}
    changed = find_changed_nodes(original, fixed, *renamed, ends=floats)
    if changed is None:
        return Agreement("the names of its tensors do not allow a comparison by parts"), 0
    partial = PartialRun(changed, original, fixed, types, exact=False, near=ROUNDING)
    threads = threads_for(original)
    session = open_session(partial.model(original), backend="onnxruntime", threads=threads, in_order=True)
    found = Agreement(session.error)
    for values, _ in _ordinary(reference):
        run = session.run(values) if not found.trouble else None
        if run is not None:
            found = found.and_then(Agreement(run.error) if run.error else partial.compare(values, run.outputs))
    return found, partial.tensors


def limits(moved: Mapping[str, float]) -> dict[str, float]:
    """What each output may differ by, in parts of its RMS."""
    return {name: max(CLOSE["float32"], FACTOR * most) for name, most in moved.items()}


def note(codes: Sequence[str], tensors: int, error: float, moved: Mapping[str, float]) -> str:
    """What the report says of it."""
    most, passes = max(moved.values(), default=0.0), ", ".join(codes)
    return (
        f"; rounding may move eight-bit numbers by a step ({passes}): outputs of the original move by {most:.2g} where "
        f"inputs change by {CHANGE:g}; each of {tensors:,} tensors that changed is within {error:.1g} of its RMS"
    )
