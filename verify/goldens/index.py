"""Goldens: what a model gave when it was known to be right, small enough for git, found by the model's metadata.

A golden folder holds `index.json` and one .npz of packed tensors (`verify.goldens.compact`) for each recorded model.
The index names what made each golden, how its inputs are drawn, and the tolerance of every tensor with its reason.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from verify.atomic_write import write_whole
from verify.errors import SurgeonError
from verify.model.files import require_content

INDEX = "index.json"
FORMAT = 1
MAX_INDEX_BYTES = 64 << 20
MAX_DATA_BYTES = 256 << 20
MAX_ELEMENTS = 1 << 28
# Metadata that must agree between a SAM2 model and its golden.
IDENTITY = ("spec", "module", "model_type", "model_version", "checkpoint", "semantics", "image_size", "precision")


@dataclass(frozen=True)
class Tensor:
    """One input or output of a case.

    key        prefix of its arrays in the .npz; empty for an input that is drawn
    drawn      arguments of `verify.inputs.seeded.draw` (kind, seed, options) of an input that is not stored
    tolerance  see `verify.compare.tolerance.derive`; of outputs only
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    key: str = ""
    drawn: Mapping[str, Any] | None = None
    tolerance: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Case:
    """One set of inputs and the outputs that belong to it; `inputs_sha256` is of the inputs' bytes in order."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    inputs_sha256: str


@dataclass(frozen=True)
class Golden:
    """What was recorded of one model.

    match    metadata that a model must have, or {"file": path relative to the golden folder}
    made_by  what made it: versions, the source of the outputs, the model's metadata
    data     name of the .npz in the same folder
    """

    id: str
    match: Mapping[str, str]
    made_by: Mapping[str, str]
    data: str
    cases: tuple[Case, ...]
    folder: Path


def folders(given: Sequence[Path] = ()) -> list[Path]:
    """Where goldens are looked for: the folders given, else `./golden` and those that ship with surgeon.

    Raises:
        SurgeonError: a folder that was given holds no index.
    """
    for folder in given:
        if not (folder / INDEX).is_file():
            raise SurgeonError(
                f"{folder}: no {INDEX} here; record goldens with: surgeon golden record MODEL -o {folder}"
            )
    here = [Path("golden")] if Path("golden", INDEX).is_file() else []
    return list(given) or [*here, *[folder for folder in (shipped(),) if folder is not None]]


def shipped() -> Path | None:
    """The goldens that came with surgeon: inside the installed package, or beside it in a checkout."""
    for folder in (Path(__file__).parent / "shipped", Path(__file__).parents[2] / "golden"):
        if (folder / INDEX).is_file():
            return folder
    return None


def read_index(folder: Path) -> list[Golden]:
    """Every golden of a folder; SurgeonError when the index is missing, too large or damaged."""
    path = folder / INDEX
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise SurgeonError(f"{path}: larger than an index can be; record the goldens again")
        require_content(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise SurgeonError(f"{path}: format {content['format']}, this surgeon reads {FORMAT}; update surgeon")
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
    return Golden(str(entry["id"]), dict(entry["match"]), dict(entry["made_by"]), data, cases, folder)


def _case(case: Mapping[str, Any]) -> Case:
    inputs, outputs = (tuple(_tensor(entry) for entry in case[side]) for side in ("inputs", "outputs"))
    for output in outputs:
        if any(type(dict(output.tolerance or {})[key]) not in (int, float) for key in ("max_rel", "rms_rel", "block")):
            raise ValueError(f"tolerance of {output.name!r} is no number")
    return Case(str(case["name"]), inputs, outputs, str(case["inputs_sha256"]))


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    shape = tuple(entry["shape"])
    if any(type(dim) is not int or dim < 0 for dim in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"shape of {entry['name']!r} is {list(shape)}")
    return Tensor(**{**entry, "shape": shape})


def find(path: Path, metadata: Mapping[str, str], where: Iterable[Path]) -> Golden | None:
    """The golden of a model, by its metadata or by its place; None when nothing was recorded for it."""
    for folder in where:
        goldens = read_index(folder)
        for golden in goldens:
            if "file" not in golden.match and all(metadata.get(k) == v for k, v in golden.match.items()):
                return golden
        by_file = [golden for golden in goldens if "file" in golden.match]
        same = [golden for golden in by_file if golden.match["file"] == place(path, folder)]
        named = [golden for golden in by_file if os.path.basename(golden.match["file"]) == path.name]
        if same or len(named) == 1:
            return (same or named)[0]
    return None


def place(path: Path, folder: Path) -> str:
    """Path of a model as seen from the golden folder, with forward slashes, so that both can move together."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def identity(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """What a golden of a SAM2 model is found by; None for a model that surgeon did not export."""
    return {key: metadata[key] for key in IDENTITY} if all(key in metadata for key in IDENTITY) else None


def read_data(golden: Golden) -> dict[str, Any]:
    """Arrays of a golden by their key; SurgeonError when the file is missing, damaged, or unpacks too large."""
    from verify.inputs.draw import load_npz

    return load_npz(golden.folder / golden.data, MAX_DATA_BYTES)


def write_index(folder: Path, goldens: Sequence[Golden]) -> None:
    """Write the index so that it is either whole or what it was before."""
    entries = [{k: v for k, v in asdict(golden).items() if k != "folder"} for golden in goldens]
    for entry in entries:
        for case in entry["cases"]:
            for side in ("inputs", "outputs"):
                case[side] = [{k: v for k, v in tensor.items() if v not in (None, "")} for tensor in case[side]]
    text = json.dumps({"format": FORMAT, "goldens": entries}, indent=1) + "\n"
    write_whole(folder / INDEX, text.encode())
