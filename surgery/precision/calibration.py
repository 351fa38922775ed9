"""Finds or draws the inputs on which half precision is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from surgery.guard.inputs import enlarged, input_sets
from verify.errors import SurgeonError
from verify.goldens.find import find_golden, folders
from verify.goldens.index import read_data
from verify.goldens.inputs import make_inputs
from verify.inputs.draw import draw_inputs, load_npz
from verify.inputs.ranges import input_ranges
from verify.model.walk import fed_inputs
from verify.run.known_faults import ends_process
from verify.run.session import Session, open_session

MOST_CASES = 2
MOST_DRAWN = 24  # sets of inputs tried
LARGER = (100.0, 100.0, 10.0, 10.0)  # times ordinary values, of the sets with large ones
FIRST_SEED = 100  # of those sets; others are drawn with smaller seeds


@dataclass(frozen=True)
class Calibration:
    """Sets of inputs by name, as NumPy arrays, and where they come from.

    extreme    more sets, drawn with large values, which real inputs may never have
    """

    inputs: list[dict[str, Any]]
    source: str
    extreme: list[dict[str, Any]] = field(default_factory=list)


def calibration(
    model: onnx.ModelProto, runnable: Any, path: Path | None, given: Calibration | str | os.PathLike[str] | None
) -> Calibration:
    """Inputs to measure on: those that were given, else those of the model's golden, else drawn ones.

    Inputs of an .npz file whose rank is one less than the model's get a leading dim of one.

    Args:
        model: with or without its weights.
        runnable: the same model as the runner takes it.
        path: by whose name a golden is found.
        given: inputs, or an .npz file with them.

    Raises:
        SurgeonError: the file has no array for an input, or the model does not run on drawn inputs.
    """
    if isinstance(given, Calibration):
        return given
    if given is not None:
        return Calibration([_aligned(model, load_npz(given))], str(given))
    found = None if path is None else find_golden(path, model, folders())
    if found is not None:
        golden = found.golden
        data = read_data(golden)
        return Calibration([make_inputs(case, data) for case in golden.cases[:MOST_CASES]], f"golden {golden.id}")
    ordinary, *extreme = _drawn(model, runnable, path)  # real inputs have large values of their own
    return Calibration([ordinary], "drawn inputs; give real ones with --calibrate FILE.npz", extreme)


def _drawn(model: onnx.ModelProto, runnable: Any, path: Path | None) -> list[dict[str, Any]]:
    """Inputs of the model's own types and sizes on which it runs, large values among them."""
    why = ends_process(model)
    session = Session("onnxruntime", error=why) if why else open_session(runnable, threads=os.cpu_count() or 1)
    error = session.error
    found: list[dict[str, Any]] = []
    for inputs in islice(input_sets(model), MOST_DRAWN):
        result = session.run(inputs)
        error = result.error or error
        if not result.error:
            found.append(inputs)
        if len(found) == MOST_CASES:
            break
    if not found:
        name = path or "the model"
        raise SurgeonError(
            f"{name}: does not run on drawn inputs ({error}); give real ones with --calibrate FILE.npz, or sizes with "
            "--input-shape"
        )
    return [*found, *(large for large in _large(model, found[0]) if _is_finite(session.run(large).outputs))]


def _large(model: onnx.ModelProto, ordinary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Large values, several times: where a gate or a softmax switches at once, each draw switches at other places."""
    sizes = {f"{name}:{axis}": size for name, value in ordinary.items() for axis, size in enumerate(np.shape(value))}
    confined = input_ranges(model)
    for seed, times in enumerate(LARGER):
        yield enlarged(draw_inputs(model, sizes=sizes, seed=FIRST_SEED + seed, confined=confined), times)


def _is_finite(outputs: Mapping[str, Any]) -> bool:
    """Whether there are outputs, and their floats are finite."""
    floats = [value for value in outputs.values() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    return bool(floats) and all(np.isfinite(value).all() for value in floats)


def _aligned(model: onnx.ModelProto, arrays: dict[str, Any]) -> dict[str, Any]:
    aligned = {}
    for value in fed_inputs(model.graph):
        if value.name not in arrays:
            raise SurgeonError(f"the calibration file has no array '{value.name}'; it has {', '.join(arrays)}")
        array = arrays[value.name]
        missing = len(value.type.tensor_type.shape.dim) - array.ndim
        aligned[value.name] = array.reshape((1,) * missing + array.shape) if missing > 0 else array
    return aligned
