"""Half precision for a file: inputs to measure with, the choice, and a whole file or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import CheckFailed, SurgeonError
from verify.report import Check

if TYPE_CHECKING:
    import onnx

    from surgery.precision.lower import Lowered

MOST_CASES = 2
MOST_DRAWN = 12  # sets of inputs tried


def calibration(model: onnx.ModelProto, path: Path, given: str | os.PathLike[str] | None) -> tuple[list[Any], str]:
    """Inputs to measure with, and where they come from.

    An .npz file that was given; else the inputs of the model's golden; else drawn ones.
    Inputs of rank one less than the model's get a leading dim of one.
    """
    from verify.goldens.check import make_inputs
    from verify.goldens.find import find_golden, folders
    from verify.goldens.index import read_data
    from verify.inputs.draw import load_npz

    if given is not None:
        return [_aligned(model, load_npz(given))], str(given)
    found = find_golden(path, model, folders())
    if found is not None:
        golden = found.golden
        data = read_data(golden)
        return [make_inputs(case, data) for case in golden.cases[:MOST_CASES]], f"golden {golden.id}"
    return _drawn(model, path), "drawn inputs; give real ones with --calibrate FILE.npz"


def _drawn(model: onnx.ModelProto, path: Path) -> list[Any]:
    """Inputs of the model's own types and sizes on which it runs."""
    from itertools import islice

    from surgery.guard.inputs import plans
    from verify.run.session import open_session

    session = open_session(path, threads=os.cpu_count() or 1)
    error = session.error
    found = []
    for inputs in islice(plans(model), MOST_DRAWN):
        result = session.run(inputs)
        error = result.error or error
        if not result.error:
            found.append(inputs)
        if len(found) == MOST_CASES:
            break
    if not found:
        raise SurgeonError(f"{path}: does not run on drawn inputs ({error}); give real ones with --calibrate FILE.npz")
    return found


def _aligned(model: onnx.ModelProto, arrays: dict[str, Any]) -> dict[str, Any]:
    from verify.model.walk import fed_inputs

    feed = {}
    for value in fed_inputs(model.graph):
        if value.name not in arrays:
            raise SurgeonError(f"the calibration file has no array '{value.name}'; it has {', '.join(arrays)}")
        array = arrays[value.name]
        missing = len(value.type.tensor_type.shape.dim) - array.ndim
        feed[value.name] = array.reshape((1,) * missing + array.shape) if missing > 0 else array
    return feed


def lower_file(
    path: str | os.PathLike[str],
    precision: str,
    calibrate: str | os.PathLike[str] | None = None,
    max_error: float | None = None,
    skip_nodes: frozenset[str] = frozenset(),
    unfused_attention: bool = False,
    inputs: tuple[list[Any], str] | None = None,
) -> Check:
    """Write half precision into the model at `path`, in place and atomically.

    `inputs` are calls to measure on and where they come from; None takes those of `calibration`.

    Raises:
        CheckFailed: even with every costly node in float32 an output moves by more than the budget.
        SurgeonError: unknown precision, or inputs that do not fit.
    """
    import onnx

    from surgery.files import model_file as files
    from surgery.precision.lower import DEFAULT_MAX_ERROR, lower
    from verify.interface.recognise import read_metadata, write_metadata
    from verify.model.external import external_tensors
    from verify.model.read import read_model

    target = Path(path)
    outside = next(external_tensors(read_model(target)), None) is not None
    model = onnx.load(target)
    feeds, source = inputs or calibration(model, target, calibrate)
    lowered, result = lower(
        model, precision, feeds, max_error or DEFAULT_MAX_ERROR, skip_nodes, unfused_attention=unfused_attention
    )
    if not result.within_budget:
        raise CheckFailed(f"{target}: {result.summary()}; raise --max-error or stay in fp32. Nothing was lowered")
    if read_metadata(model):
        write_metadata(lowered, {"precision": precision})
    with files.Pending(target) as pending:
        pending.write(lowered, str(target.resolve().parent), outside)
        pending.commit()
    return _as_check(result, source)


def _as_check(result: Lowered, source: str) -> Check:
    figures = {
        "precision": result.precision,
        "errors": result.errors,
        "nodes": result.lowered,
        "casts": result.casts,
        "runs": result.runs,
        "measured_on": source,
        "stayed": [{"node": s.name, "op": s.op, "why": s.why} for s in result.stayed],
    }
    return Check("precision", "pass", f"{result.summary()}; measured on {source}", figures)
