"""The manifest of a folder for the GPU machine: which files, inputs and commands it holds, each with its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from verify.errors import SurgeonError

MANIFEST = "manifest.json"
RESULT = "result.txt"
ENGINE = "engine.plan"
BUILD_LOG = "build.log"
RUN_LOG = "trtexec.log"
FORMAT = 1


@dataclass(frozen=True)
class Input:
    """One input of a case: `file` in the case's folder, or empty where it is given as values in a shape flag."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class CaseFiles:
    """One case of a golden: its folder inside the model's, its inputs, and tolerances that the golden does not have."""

    folder: str
    name: str
    inputs_sha256: str
    inputs: tuple[Input, ...]
    command: str
    tolerances: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFiles:
    """One model of the folder.

    files   SHA-256 by path inside the model's folder, the model's own file first
    sha256  of the model and the files with its weights (`verify.goldens.find.content_hash`)
    golden  id of the golden whose cases are run
    """

    folder: str
    file: str
    files: Mapping[str, str]
    sha256: str
    golden: str
    precision: str
    command: str
    cases: tuple[CaseFiles, ...]


@dataclass(frozen=True)
class Manifest:
    """A whole folder; `id` is a hash of the rest, which run.sh writes beside its results."""

    tensorrt: str
    models: tuple[ModelFiles, ...]
    id: str = ""


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest with its id, and return that manifest."""
    text = json.dumps(asdict(manifest), sort_keys=True)
    whole = Manifest(manifest.tensorrt, manifest.models, hashlib.sha256(text.encode()).hexdigest()[:16])
    content = {"format": FORMAT, **asdict(whole)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return whole


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that came back.

    Raises:
        SurgeonError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise SurgeonError(
            f"{folder}: no {MANIFEST} here; make the folder with: surgeon golden trtexec MODEL -o {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise SurgeonError(
                f"{path}: format {content['format']}, this surgeon reads {FORMAT}; make the folder again"
            )
        models = tuple(_model(entry) for entry in content["models"])
        return Manifest(str(content["tensorrt"]), models, str(content["id"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise SurgeonError(f"{path}: not a manifest ({reason}); make the folder again") from None


def _model(entry: Mapping[str, Any]) -> ModelFiles:
    for name in (entry["folder"], entry["file"], *entry["files"]):
        _require_inside(name)
    return ModelFiles(**{**entry, "cases": tuple(map(_case, entry["cases"]))})


def _case(entry: Mapping[str, Any]) -> CaseFiles:
    _require_inside(entry["folder"])
    inputs = tuple(Input(**{**one, "shape": tuple(one["shape"])}) for one in entry["inputs"])
    for one in inputs:
        _require_inside(one.file)
    return CaseFiles(**{**entry, "inputs": inputs})


def _require_inside(name: str) -> None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} is outside the folder")
