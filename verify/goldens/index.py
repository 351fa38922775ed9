"""Goldens: what a model gave when it was known to be right, small enough for git.

A golden folder holds `index.json` and one .npz of packed tensors (`verify.goldens.compact`) for each recorded model.
The index names what made each golden, how its inputs are drawn, and the tolerance of every tensor with its reason.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from verify.atomic_write import write_whole
from verify.errors import SurgeonError
from verify.model.files import require_content

INDEX = "index.json"
FORMAT = 2
READABLE = (1, 2)  # 1 has no hashes, interface and settings
MAX_INDEX_BYTES = 64 << 20
MAX_DATA_BYTES = 256 << 20
MAX_ELEMENTS = 1 << 28
# Largest tolerance of an RMS error that an index may hold; recording refuses noise above 0.01, and allows 8 times that.
MAX_RMS_TOLERANCE = 0.1
MAX_ATOL = 0.1
FIGURES = ("max_rel", "rms_rel", "block", "flips", "atol")
# Metadata that must agree between a SAM2 model and its golden.
IDENTITY = ("spec", "module", "model_type", "model_version", "checkpoint", "semantics", "image_size", "precision")


@dataclass(frozen=True)
class Tensor:
    """One input or output of a case.

    key        prefix of its arrays in the .npz; empty for an input that is drawn
    drawn      arguments of `verify.inputs.seeded.draw` (kind, seed, options) of an input that is not stored
    tolerance  of an output as onnxruntime computes it by default, see `verify.compare.tolerance.derive`; None where
               onnxruntime's optimisations alone change it too much
    tight      tolerance of an output of a run without optimisations on one thread; None in goldens of format 1
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    key: str = ""
    drawn: Mapping[str, Any] | None = None
    tolerance: Mapping[str, Any] | None = None
    tight: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Case:
    """One set of inputs and the outputs that belong to it; `inputs_sha256` is of the inputs' bytes in order.

    `unrounded` has the outputs of an eight-bit model without its rounding (`verify.run.unrounded`).
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    inputs_sha256: str
    unrounded: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Golden:
    """What was recorded of one model.

    match          metadata that a model must have, or {"file": path relative to the golden folder}
    made_by        what made it: versions, the source of the outputs, the model's metadata
    data           name of the .npz in the same folder
    data_sha256    of the arrays in it (`arrays_hash`)
    model_sha256   of the model it was recorded of (`verify.goldens.find.content_hash`)
    interface      inputs and outputs of that model (`verify.goldens.find.interface`)
    settings       how its inputs were chosen ("seed", "sizes": {input: shape}), used again when it is recorded anew
    notes          what the golden does not see: cases that did not run, outputs that are the same for all inputs
    sensitivity    which planted faults it catches (`verify.goldens.quality.sensitivity.measure_sensitivity`)
    coverage       what in the model its inputs do not reach, with the input that would help
                   (`verify.goldens.quality.coverage`)
    """

    id: str
    match: Mapping[str, str]
    made_by: Mapping[str, str]
    data: str
    cases: tuple[Case, ...]
    folder: Path
    data_sha256: str = ""
    model_sha256: str = ""
    interface: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sensitivity: Mapping[str, Any] = field(default_factory=dict)
    coverage: tuple[str, ...] = ()


def read_index(folder: Path) -> list[Golden]:
    """Every golden of a folder; SurgeonError when the index is missing, too large or damaged."""
    path = folder / INDEX
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise SurgeonError(f"{path}: larger than an index can be; record the goldens again")
        require_content(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] not in READABLE:
            raise SurgeonError(f"{path}: format {content['format']}, this surgeon reads up to {FORMAT}; update surgeon")
        return [_golden(entry, folder) for entry in content["goldens"]]
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise SurgeonError(f"{path}: not a golden index ({reason}); record the goldens again") from None


def _golden(entry: Mapping[str, Any], folder: Path) -> Golden:
    data = str(entry["data"])
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+\.npz", data):
        raise ValueError(f"{data!r} is no file name")
    cases = tuple(_case(case) for case in entry["cases"])
    later = {key: str(entry.get(key, "")) for key in ("data_sha256", "model_sha256")}
    return Golden(
        str(entry["id"]),
        dict(entry["match"]),
        dict(entry["made_by"]),
        data,
        cases,
        folder,
        **later,
        interface=dict(entry.get("interface", {})),
        settings=dict(entry.get("settings", {})),
        notes=tuple(map(str, entry.get("notes", ()))),
        sensitivity=_sensitivity(entry.get("sensitivity", {})),
        coverage=tuple(map(str, entry.get("coverage", ()))),
    )


def _sensitivity(entry: Mapping[str, Any]) -> dict[str, Any]:
    """ValueError where the numbers cannot be: more faults caught than planted, or fewer than none."""
    found = dict(entry)
    if found and not 0 <= int(found["caught"]) <= int(found["planted"]):
        raise ValueError(f"{found['caught']} of {found['planted']} planted faults were caught")
    found["slipped"] = [{key: str(one[key]) for key in ("kind", "place", "why")} for one in found.get("slipped", ())]
    return found if entry else {}


def _case(case: Mapping[str, Any]) -> Case:
    inputs, outputs, unrounded = (
        tuple(_tensor(entry) for entry in case.get(side, ())) for side in ("inputs", "outputs", "unrounded")
    )
    for output in (*outputs, *unrounded):
        _check_tolerance(output)
    return Case(str(case["name"]), inputs, outputs, str(case["inputs_sha256"]), unrounded)


def _check_tolerance(output: Tensor) -> None:
    """ValueError where a tolerance is missing, no finite number, or so large that nothing would fail."""
    if output.tolerance is None and output.tight is None:
        raise ValueError(f"{output.name!r} has no tolerance")
    for tolerance in (output.tolerance, output.tight):
        for key in FIGURES if tolerance is not None else ():
            value: Any = dict(tolerance or {}).get(key, 0 if key in ("flips", "atol") else None)
            if type(value) not in (int, float) or not 0 <= value < math.inf:
                raise ValueError(f"tolerance {key} of {output.name!r} is {value!r}")
            if value > {"rms_rel": MAX_RMS_TOLERANCE, "atol": MAX_ATOL}.get(key, math.inf):
                raise ValueError(f"tolerance {key} of {output.name!r} is {value:g}, which tells nothing")


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    shape = tuple(entry["shape"])
    if any(type(dim) is not int or dim < 0 for dim in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"shape of {entry['name']!r} is {list(shape)}")
    return Tensor(**{**entry, "shape": shape})


def place(path: Path, folder: Path) -> str:
    """Path of a model as seen from the golden folder, with forward slashes, so that both can move together."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def identity(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """What a golden of a SAM2 model is found by; None for a model that surgeon did not export."""
    return {key: metadata[key] for key in IDENTITY} if all(key in metadata for key in IDENTITY) else None


def read_data(golden: Golden) -> dict[str, Any]:
    """Arrays of a golden by their key.

    Raises:
        SurgeonError: the file is missing, damaged, unpacks too large, or holds other arrays than the index says.
    """
    from verify.inputs.draw import load_npz

    path = golden.folder / golden.data
    arrays = load_npz(path, MAX_DATA_BYTES)
    if golden.data_sha256 and arrays_hash(arrays) != golden.data_sha256:
        raise SurgeonError(f"{path}: not the arrays that {INDEX} was written for; restore both files or record again")
    return arrays


def arrays_hash(arrays: Mapping[str, Any]) -> str:
    """SHA-256 of the names, types, shapes and bytes of arrays."""
    sha = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        sha.update(f"{key} {array.dtype.str} {list(array.shape)} ".encode() + array.tobytes())
    return sha.hexdigest()


def write_index(folder: Path, goldens: Sequence[Golden]) -> None:
    """Write the index so that it is either whole or what it was before."""
    entries = [
        {k: v for k, v in asdict(golden).items() if k != "folder" and v not in ("", {}, ())} for golden in goldens
    ]
    for entry in entries:
        for case in entry["cases"]:
            for side in ("inputs", "outputs", "unrounded"):
                case[side] = [{k: v for k, v in tensor.items() if v not in (None, "")} for tensor in case[side]]
            if not case["unrounded"]:
                del case["unrounded"]
    text = json.dumps({"format": FORMAT, "goldens": entries}, indent=1) + "\n"
    write_whole(folder / INDEX, text.encode())
