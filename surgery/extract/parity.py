"""Runs the whole model and the part that was cut out of it, and compares their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from surgery.extract.cut import Cut
from surgery.guard.inputs import input_sets
from surgery.guard.traits import random_outputs, uses_half
from verify.compare.divergence_graph import fetching
from verify.compare.statistics import Limits, judge, tensor_statistics
from verify.errors import SurgeonError
from verify.report import Check, counted
from verify.run.session import open_session

SETS = 3
# onnxruntime computes runs of float16 nodes in float32 and rounds at their end, so that a cut adds roundings.
HALF = Limits(rms_rel=4 * 2.0**-8)


@dataclass
class Whole:
    """Runs of the whole model.

    runs   for each set of inputs the value of every tensor that the part takes and gives
    error  why there is no run, or ""
    """

    backend: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @property
    def first(self) -> dict[str, Any]:
        """The values of the first run; empty where there is none."""
        return self.runs[0] if self.runs else {}


def run_whole(
    model: onnx.ModelProto, folder: Path, names: Sequence[str], values: Mapping[str, Any] | None = None
) -> Whole:
    """Run the model on up to three sets of inputs and keep the tensors `names`.

    Args:
        folder: where the model's external data is.
        values: array of each input, instead of drawn ones.

    Raises:
        SurgeonError: the model does not run on `values`.
    """
    inputs = {value.name for value in model.graph.input}
    made = [name for name in names if name not in inputs]
    session = open_session(fetching(model, made), base_dir=folder)
    whole = Whole(session.backend, error=session.error)
    if session.error:
        return whole
    try:
        for given in [values] if values is not None else islice(input_sets(model), 2 * SETS):
            run = session.run(given)
            if run.error:
                whole.error = whole.error or run.error
                continue
            whole.runs.append({**given, **run.outputs})
            if len(whole.runs) == SETS:
                break
    except SurgeonError as error:
        whole.error = str(error)
    if values is not None and not whole.runs:
        raise SurgeonError(f"the model does not run on the given inputs: {whole.error}")
    return whole


def compare(part: onnx.ModelProto, path: Path, found: Cut, whole: Whole) -> Check:
    """The part, written at `path`, against the runs of the whole model."""
    if random_outputs(part):
        return Check("parity", "skip", "unchecked: it draws random numbers")
    if not whole.runs:
        return Check("parity", "skip", f"unchecked: the whole model cannot be run: {whole.error}; give --check-inputs")
    session = open_session(str(path))
    exact = True
    for number, expected in enumerate(whole.runs, 1):
        run = session.run({name: expected[name] for name in found.inputs})
        if run.error:
            return Check("parity", "fail", f"the part does not run where the whole does: {run.error}")
        for name in found.outputs:
            same = _same(run.outputs[name], expected[name])
            wrong = [] if same else _wrong(run.outputs[name], expected[name], uses_half(part))
            if wrong:
                return Check("parity", "fail", f"'{name}' differs from the whole on set {number}: {'; '.join(wrong)}")
            exact = exact and same
    how = "equal bit for bit" if exact else "equal but for the rounding of half precision"
    text = f"{how} to the whole on {counted(len(whole.runs), 'set')} of inputs ({session.backend})"
    return Check("parity", "pass", text, {"sets": len(whole.runs), "exact": exact, "backend": session.backend})


def _same(actual: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(_same, actual, expected))
    one, other = np.asarray(actual), np.asarray(expected)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tobytes() == other.tobytes() if one.dtype.kind not in "OSU" else bool(np.all(one == other))


def _wrong(actual: Any, expected: Any, half: bool) -> list[str]:
    if isinstance(expected, list) or not half:
        return ["the values are not the same"]
    return judge(tensor_statistics(actual, expected), HALF)
