"""Who is right when onnxruntime gives one thing for the original and another for the fixed model.

Usually the original: then nothing is written. But onnxruntime has operators that do not do what ONNX says (1.32 gives
the lowest float where ONNX gives minus infinity in the fourth output of Attention). ONNX's own reference evaluator,
which shares no code with onnxruntime, decides: the fixed model, run by onnxruntime, must give what the reference
evaluator gives for the original.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from surgery.guard import SECONDS, Reference
from verify.report import Check
from verify.runner import open_session

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
    if check.status != "fail" or found.backend != "onnxruntime" or len(model.graph.node) > MOST_NODES:
        return check
    if not check.figures.get("tensor"):  # the fixed model did not run
        return check
    session = open_session(source, backend="reference")
    sets = []
    for inputs, _ in found.sets:
        run = session.run(inputs, timeout=SECONDS)
        if run.error:
            return check
        sets.append((inputs, run.outputs))
    other = again(Reference(sets, session.backend, "", found.left_out, found.half, found.seconds))
    if other.status != "pass":
        return check
    name = check.figures["tensor"]
    message = f"{other.message}; onnxruntime gives something else than ONNX defines for '{name}' of the original"
    return Check("parity", "pass", message, other.figures)
