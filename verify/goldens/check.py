"""Run a model on the inputs of its golden and hold every output against what was recorded."""

from __future__ import annotations

import difflib
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.compare.statistics import share_above
from verify.compare.tolerance import exceeded
from verify.errors import SurgeonError
from verify.goldens.compact import statistics
from verify.goldens.find import find_golden, folders
from verify.goldens.index import Case, Golden, Tensor, read_data
from verify.inputs.seeded import draw
from verify.interface.check import read_dims, show
from verify.model.walk import fed_inputs
from verify.report import Check, counted
from verify.run.session import Session, open_session

if TYPE_CHECKING:
    import onnx

FORMS = ({"whole"}, {"levels", "codes"}, {"probes", "sums", "special"})


def check_goldens(
    path: Path,
    model: onnx.ModelProto,
    metadata: Mapping[str, str],
    given: Sequence[Path] = (),
    required: bool = False,
    scale: float = 1.0,
) -> list[Check]:
    """Find the golden of a model and check the model against it; a skipped check where none was recorded.

    Args:
        given: folders to look in; empty for the usual ones (`verify.goldens.find.folders`).
        required: a golden that is missing in the folders given is a failure.
        scale: tolerances are multiplied by it.
    """
    found = find_golden(path, model, folders(given))
    if found is not None:
        how = f" ({found.how})" if found.how else ""
        used = {"golden": found.golden.id, "folder": str(found.golden.folder)}
        checks = check_golden(path, model, found.golden, scale)
        return [replace(c, message=c.message + how, figures={**c.figures, **used}) for c in checks]
    message = f"none recorded for {_described(metadata) or 'this model'}; see surgeon golden record --help"
    return [Check("golden", "fail" if required and given else "skip", message)]


def _described(metadata: Mapping[str, str]) -> str:
    keys = ("model_version", "model_type", "module", "semantics", "image_size", "precision", "checkpoint")
    return " ".join(metadata[key][:20] for key in keys if key in metadata)


def check_golden(path: Path, model: onnx.ModelProto, golden: Golden, scale: float = 1.0) -> list[Check]:
    """One check over all recorded cases that fit the model's input shapes.

    Args:
        path: the model's file, which onnxruntime reads itself.
        model: the same model; only its interface is looked at.
        scale: tolerances are multiplied by it.

    Raises:
        SurgeonError: the golden's data cannot be read, or its inputs cannot be made again.
    """
    misnamed = _names(model, golden)
    if misnamed:
        return [Check("golden", "fail", misnamed)]
    cases = [case for case in golden.cases if not _misfit(model, case.inputs)]
    if not cases:
        why = _misfit(model, golden.cases[0].inputs) if golden.cases else "no case recorded"
        return [Check("golden", "fail" if "file" in golden.match else "skip", why)]
    data = read_data(golden)
    session = open_session(path, optimize=True, threads=os.cpu_count() or 1)
    if session.error:
        return [Check("golden", "fail", f"the model cannot be run: {session.error}")]
    started = time.perf_counter()
    tensors: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    for case in cases:
        wrong += _check_case(session, case, data, scale, tensors)
    figures = {"tensors": tensors, "seconds": round(time.perf_counter() - started, 3), "backend": session.backend}
    left = len(golden.cases) - len(cases)
    figures |= {"cases": len(cases), "cases_of_other_shapes": left}
    return [Check("golden", "fail" if wrong else "pass", summary(tensors, wrong, len(cases), left), figures)]


def _names(model: onnx.ModelProto, golden: Golden) -> str:
    """The first input or output that the golden knows and the model lacks, in words; empty when there is none."""
    for kind, values in (("input", fed_inputs(model.graph)), ("output", list(model.graph.output))):
        names = [value.name for value in values]
        known = list(dict.fromkeys(t.name for case in golden.cases for t in getattr(case, f"{kind}s")))
        missing = [name for name in known if name not in names]
        extra = [name for name in names if name not in known]
        if missing:
            guess = difflib.get_close_matches(missing[0], extra, n=1, cutoff=0.0)
            return f"{kind} {missing[0]} is missing" + (f"; the model has {guess[0]}: renamed?" if guess else "")
        if extra:
            return f"{kind} {extra[0]} was not there when the golden was recorded; record it again if it is meant"
    return ""


def _misfit(model: onnx.ModelProto, inputs: Sequence[Tensor]) -> str:
    """Why recorded inputs do not fit the model's declared ones; empty when they do."""
    declared = {value.name: read_dims(value) for value in model.graph.input}
    for tensor in inputs:
        dims = declared.get(tensor.name)
        fits = dims is None or (
            len(dims) == len(tensor.shape)
            and all(isinstance(d, str) or d == s for d, s in zip(dims, tensor.shape, strict=True))
        )
        if not fits:
            return f"input {tensor.name} is {show(dims or ())}; the golden was recorded with {list(tensor.shape)}"
    return ""


def _check_case(
    session: Session, case: Case, data: Mapping[str, Any], scale: float, tensors: dict[str, dict[str, Any]]
) -> list[str]:
    """Put the statistics of each output into `tensors`, by output and case; returns what is wrong."""
    run = session.run(make_inputs(case, data))
    where = f" ({case.name})" if case.name else ""
    if run.error:
        return [f"the model cannot be run{where}: {run.error}"]
    wrong = []
    for output in case.outputs:
        found = output_statistics(run.outputs[output.name], output, data)
        tolerance = dict(output.tolerance or {})
        if "histogram" in found:
            found["out_of_tolerance"] = share_above(found, scale * tolerance["max_rel"])
        tensors[output.name + where] = {**found, "tolerance": {k: v for k, v in tolerance.items() if k != "noise"}}
        wrong += [f"{output.name}{where}: {problem}" for problem in exceeded(found, tolerance, scale)]
    return wrong


def summary(tensors: Mapping[str, Mapping[str, Any]], wrong: Sequence[str], cases: int = 1, left: int = 0) -> str:
    """One line: what is wrong first, else how much of the tolerance is used."""
    if wrong:
        return wrong[0] + (f"; and {len(wrong) - 1} more" if len(wrong) > 1 else "")

    def used(name: str) -> float:
        figures = tensors[name]
        return float(figures.get("rms_rel", 0.0)) / (figures["tolerance"]["rms_rel"] or 1.0)

    worst = max(tensors, key=used)
    error, allowed = tensors[worst].get("rms_rel", 0.0), tensors[worst]["tolerance"]["rms_rel"]
    counts = counted(len(tensors), "output") + (f" of {cases} cases" if cases > 1 else "")
    others = f", {counted(left, 'case')} of other shapes left out" if left else ""
    return f"{counts} as recorded{others}; RMS error at most {error:.1e}, allowed {allowed:.1e} ({worst})"


def output_statistics(actual: Any, output: Tensor, data: Mapping[str, Any]) -> dict[str, Any]:
    """Error statistics of one output against its packed golden."""
    prefix = f"{output.key}."
    packed = {key.removeprefix(prefix): array for key, array in data.items() if key.startswith(prefix)}
    if not any(needed <= set(packed) for needed in FORMS):
        raise SurgeonError(f"the golden's data lacks {output.name!r}; record it again")
    try:
        return statistics(np.asarray(actual), output.shape, output.dtype, packed)
    except (ValueError, IndexError, TypeError) as error:
        raise SurgeonError(f"the golden of {output.name!r} is damaged ({error}); record it again") from None


def make_inputs(case: Case, data: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a case, drawn or read, by name; SurgeonError when they are not those the golden was recorded with."""
    inputs = {tensor.name: _make_input(tensor, data) for tensor in case.inputs}
    if digest(inputs) != case.inputs_sha256:
        raise SurgeonError(f"the inputs of golden case {case.name!r} cannot be made again here; record it again")
    return inputs


def _make_input(tensor: Tensor, data: Mapping[str, Any]) -> Any:
    if tensor.drawn is not None:
        try:
            return draw(shape=tensor.shape, dtype=tensor.dtype, **tensor.drawn)
        except (TypeError, AttributeError, ValueError) as error:
            raise SurgeonError(f"input {tensor.name!r} of the golden is damaged ({error}); record it again") from None
    if tensor.key not in data:
        raise SurgeonError(f"the golden's data lacks input {tensor.name!r}; record it again")
    return unstore(data[tensor.key], tensor.dtype)


def store(array: Any) -> Any:
    """An input in a type that NumPy files hold: ml_dtypes as raw bits, strings with a fixed width."""
    if array.dtype.kind == "O":
        return array.astype(np.str_)
    raw = {1: np.uint8, 2: np.uint16}.get(array.dtype.itemsize, np.uint32)
    return array if array.dtype.isbuiltin == 1 else array.view(raw)


def unstore(stored: Any, dtype: str) -> Any:
    """What `store` was given; `dtype` is its name."""
    import ml_dtypes

    if stored.dtype.name != dtype and stored.dtype.kind == "u" and hasattr(ml_dtypes, dtype):
        return stored.view(getattr(ml_dtypes, dtype))
    return stored.astype(object) if stored.dtype.kind == "U" else stored


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of names, shapes and bytes of the inputs in order."""
    sha = hashlib.sha256()
    for name, array in inputs.items():
        array = np.asarray(array)
        content = "\0".join(map(str, array.reshape(-1))).encode() if array.dtype.kind in "OU" else array.tobytes()
        sha.update(f"{name} {list(array.shape)} ".encode() + content)
    return sha.hexdigest()
