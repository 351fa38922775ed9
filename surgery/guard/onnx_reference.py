"""Who is right when onnxruntime gives one thing for the original and another for the fixed model.

Usually the original: then nothing is written. But there are two cases in which the fixed model is right.

onnxruntime rounds by how a graph is written: an LSTM whose weights are constants packs them and sums in another order
than one whose weights a node makes. Where values are merely rounded otherwise, onnxruntime decides with its own
optimisation, which folds such nodes: the fixed model must give what the original gives then.

And onnxruntime has operators that do not do what ONNX says (1.32 gives
the lowest float where ONNX gives minus infinity in the fourth output of Attention). ONNX's own reference evaluator,
which shares no code with onnxruntime, decides: the fixed model, run by onnxruntime, must give what the reference
evaluator gives for the original.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import onnx

from surgery.guard.reference import SECONDS, Reference
from verify.report import Check
from verify.run.session import Session, open_session

ROUNDING = 1e-4  # of the RMS: what sums in another order may make of float32
MOST_NODES = 16  # the reference evaluator is slow, and what is wrong is one operator


def settle(
    check: Check, found: Reference, model: onnx.ModelProto, source: Any, again: Callable[[Reference], Check]
) -> Check:
    """`check` when it passed or stands; else a check that passed against the reference evaluator, and says so.

    Args:
        check: how the fixed model compares with the original, both run by onnxruntime.
        found: inputs and outputs of the original.
        model, source: the original, and as the runner takes it.
        again: compares the fixed model with other outputs.
    """
    if check.status != "fail" or found.backend != "onnxruntime":
        return check
    name = check.figures.get("tensor")
    if not name:  # the fixed model did not run
        return check
    if 0 < check.figures.get("error", 1.0) <= ROUNDING:
        session = open_session(source, backend="onnxruntime", optimize=True, threads=os.cpu_count() or 1)
        why = f"onnxruntime rounds '{name}' of the original otherwise unless it folds constants itself"
        check = _other(check, found, session, again, why)
    if check.status == "fail" and len(model.graph.node) <= MOST_NODES:
        session = open_session(source, backend="reference")
        why = f"onnxruntime gives something else than ONNX defines for '{name}' of the original"
        check = _other(check, found, session, again, why)
    return check


def _other(check: Check, found: Reference, session: Session, again: Callable[[Reference], Check], why: str) -> Check:
    """A check against what `session` gives for the original, when that passes; else `check`."""
    sets = []
    for inputs, _ in found.sets:
        run = session.run(inputs, timeout=2 * found.seconds + SECONDS)
        if run.error:
            return check
        sets.append((inputs, run.outputs))
    other = again(Reference(sets, session.backend, "", found.left_out, found.half, found.seconds))
    if other.status != "pass":
        return check
    return Check("parity", "pass", f"{other.message}; {why}", other.figures)
