"""Compares a fixed model with the outputs of the original. Tolerances are in `surgery.guard.tolerances`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from surgery.guard.inputs import has_specials
from surgery.guard.partial_run import NEAR, PartialRun
from surgery.guard.reference import Reference
from surgery.guard.tolerances import CLOSE, EXACT_FLOAT32, ROUNDING, difference, without_overflow
from surgery.guard.traits import SECONDS
from verify.report import Check, counted
from verify.run.session import Halt, Session, open_session

SATURATES = (
    "eight-bit products are compared as ONNX defines them: on this processor onnxruntime sums uint8 by int8 in 16 "
    "bits, which may overflow, so that the original itself may give other values"
)


def open_fixed(
    runnable: Any, backend: str, shared_memory: bool, folder: str | None = None, threads: int | None = None
) -> Session:
    """The fixed model, ready to run.

    Args:
        backend: "reference"; else that on which the original ran.
        shared_memory: as in the `Reference` of the original.
        threads: of onnxruntime, those of the original; None for one a processor.
    """
    backend = backend if backend in ("onnxruntime", "reference") else "auto"
    threads = threads or os.cpu_count() or 1
    return open_session(runnable, backend=backend, threads=threads, base_dir=folder, shared_memory=shared_memory)


def compare(
    reference: Reference,
    session: Session,
    *,
    exact: bool,
    renamed_inputs: Mapping[str, str] | None = None,
    renamed_outputs: Mapping[str, str] | None = None,
    removed_inputs: Sequence[str] = (),
    removes_overflow: Sequence[str] = (),
    moves_nan: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    halt: Halt | None = None,
) -> Check:
    """Run the whole fixed model on the inputs the original ran on.

    Args:
        reference: what the original gave; it must hold at least one set.
        session: the fixed model, ready to run.
        exact: whether every bit must agree.
        renamed_inputs, renamed_outputs: new names by old ones, where the passes renamed them.
        removed_inputs: inputs the fixed model no longer has.
        removes_overflow: codes of the passes that may give finite values where the original overflows.
        moves_nan: codes of the passes that may give other values than the original where inputs have NaN or infinity;
            the check then says where, and passes.
        limits: what outputs may differ by, by their names in the original, where that is not the usual.
        halt: ends the run from another thread.

    Returns:
        A check named "parity" that passes, or fails and names the tensor in `figures["tensor"]`. Where NaN or infinity
        moved it passes with `figures["moved_nan"]`.
    """
    exact = exact and not reference.half
    general = ROUNDING if exact and reference.recurrent else None
    worst, overflowed = 0.0, 0
    moved = ""
    drawn = len(reference.sets) - reference.edge_cases
    for place, (values, expected) in enumerate(reference.sets):
        last = values is reference.sets[-1][0]
        may_move = bool(moves_nan) and place >= drawn and has_specials(values)
        inputs = {(renamed_inputs or {}).get(n, n): value for n, value in values.items() if n not in removed_inputs}
        run = session.run(inputs, timeout=2 * reference.seconds + SECONDS, halt=halt, last=last)
        if run.error and may_move:
            moved = moved or "the fixed model does not run"
            continue
        if run.error:
            return Check("parity", "fail", f"the fixed model does not run: {run.error}", {"tensor": ""})
        for name, wanted in expected.items():
            new = (renamed_outputs or {}).get(name, name)
            if name in reference.random or new not in run.outputs:
                continue
            if removes_overflow:
                wanted, places = without_overflow(wanted, run.outputs[new])
                overflowed += places
            limit = (limits or {}).get(name, general)
            trouble, error = difference(wanted, run.outputs[new], exact, reference.half, limit)
            if trouble and may_move:
                moved = moved or f"'{new}' {trouble}"
                continue
            worst = max(worst, error)
            if trouble:
                return Check("parity", "fail", f"output '{new}' {trouble}", {"tensor": new, "error": error})
    usual = EXACT_FLOAT32 if exact else CLOSE["float16" if reference.half else "float32"]
    causes = ", ".join(moves_nan)
    if session.backend != reference.backend:  # runtimes treat NaN differently, for example in ReduceMax
        causes += f", or because {session.backend} ran the result and {reference.backend} the original"
    note = f"; with NaN or infinity in the inputs {moved} ({causes})" if moved else ""
    finite = f"; finite in {counted(overflowed, 'place')} where the original overflows ({', '.join(removes_overflow)})"
    if removes_overflow and not overflowed:
        finite = f"; the result may be finite where the original overflows ({', '.join(removes_overflow)})"
    found = _passed(
        reference,
        worst,
        max([general or usual, *(limits or {}).values()]),
        note=(finite if removes_overflow else "") + note,
    )
    return replace(found, figures={**found.figures, "moved_nan": True}) if moved else found


def agreed(reference: Reference, partial: PartialRun) -> Check:
    """The check that passed because all changed tensors agree, as `reference.agreement` says."""
    error = reference.agreement.error if reference.agreement else 0.0
    kept = len(partial.changed.kept)
    unchanged = f"{counted(kept, 'node')} {'is' if kept == 1 else 'are'} unchanged"
    if reference.rerun is not None:
        unchanged += f", {len(partial.short):,} of which ran in a short form"
    tensors = "the one tensor" if partial.tensors == 1 else f"all {partial.tensors:,} tensors"
    where = f" in {tensors} that changed ({unchanged})"
    return _passed(reference, error, EXACT_FLOAT32 if partial.exact else NEAR, where)


def _passed(reference: Reference, worst: float, limit: float, where: str = "", note: str = "") -> Check:
    """A comparison that passed, with its figures in the message."""
    equal = (
        "bit for bit" if worst == 0 else f"within {worst:.1g} of the RMS (allowed {limit:g} of it and of each value)"
    )
    sets = counted(len(reference.sets) - reference.edge_cases, "set")
    message = f"equal {equal}{where} on {sets} of inputs ({reference.backend})"
    if reference.edge_cases:
        message += f" and on {counted(reference.edge_cases, 'edge case')}"
    if reference.with_nan:
        message += f"; not used: {counted(reference.with_nan, 'set')} on which the original gives NaN"
    if reference.short:
        message += ", since more would take long"
    message += note
    if reference.saturates:
        message += f"; {SATURATES}"
    if reference.fault:
        message += f"; {reference.fault}"
    if reference.random:
        message += f"; not compared, since random: {', '.join(reference.random)}"
    figures = {
        "sets": len(reference.sets) - reference.edge_cases,
        "edge_cases": reference.edge_cases,
        "error": worst,
        "backend": reference.backend,
    }
    return Check("parity", "pass", message, figures)
