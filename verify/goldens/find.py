"""Find the golden of a model: by its metadata, its place, its content, or its name and interface if it was moved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError
from verify.goldens.index import INDEX, Golden, place, read_index

if TYPE_CHECKING:
    import onnx

DEFAULT = Path("golden")


@dataclass(frozen=True)
class Found:
    """A golden that belongs to a model; `how` says by what it was found if neither by metadata nor by its place."""

    golden: Golden
    how: str = ""


def folders(given: Sequence[Path] = ()) -> list[Path]:
    """Where goldens are looked for: the folders given, else `golden` and those that ship with surgeon.

    `golden` is looked for in the working directory and, inside a git repository, in its parents up to the root.

    Raises:
        SurgeonError: a folder that was given holds no index.
    """
    for folder in given:
        if not (folder / INDEX).is_file():
            raise SurgeonError(
                f"{folder}: no {INDEX} here; record goldens with: surgeon golden record MODEL -o {folder}"
            )
    here = default_folder()
    own = [here] if (here / INDEX).is_file() else []
    return list(given) or [*own, *[folder for folder in (shipped(),) if folder is not None]]


def default_folder() -> Path:
    """The nearest `golden` with an index, from the working directory up to the repository's root; else `./golden`."""
    here = Path.cwd()
    levels = [here, *here.parents]
    root = next((depth for depth, folder in enumerate(levels) if (folder / ".git").exists()), 0)
    places = (Path(*[".."] * depth) / DEFAULT for depth in range(root + 1))
    return next((place for place in places if (place / INDEX).is_file()), DEFAULT)


def shipped() -> Path | None:
    """The goldens that came with surgeon: inside the installed package, or beside it in a checkout."""
    for folder in (Path(__file__).parent / "shipped", Path(__file__).parents[2] / "golden"):
        if (folder / INDEX).is_file():
            return folder
    return None


def find_golden(path: Path, model: onnx.ModelProto, where: Iterable[Path]) -> Found | None:
    """The golden of a model; None when nothing was recorded for it.

    A model that was moved or renamed keeps its golden: one of the same content, or whose own model is no longer in its
    place and has the same file name or, if only one such golden is there, the same inputs and outputs.
    """
    from verify.interface.recognise import read_metadata

    metadata = read_metadata(model)
    for folder in where:
        goldens = read_index(folder)
        for golden in goldens:
            if "file" not in golden.match and all(metadata.get(k) == v for k, v in golden.match.items()):
                return Found(golden)
        found = _by_file(path, model, [golden for golden in goldens if "file" in golden.match], folder)
        if found is not None:
            return found
    return None


def _by_file(path: Path, model: onnx.ModelProto, goldens: Sequence[Golden], folder: Path) -> Found | None:
    here = place(path, folder)
    for golden in goldens:
        if golden.match["file"] == here:
            return Found(golden)
    if path.is_file() and any(golden.model_sha256 for golden in goldens):
        content = content_hash(path, model)
        for golden in goldens:
            if golden.model_sha256 == content:
                return Found(golden, f"found by content: recorded as {golden.match['file']}")
    named = [golden for golden in goldens if os.path.basename(golden.match["file"]) == path.name]
    lost = [golden for golden in goldens if is_orphan(golden)]
    alike = [golden for golden in lost if golden.interface and golden.interface == interface(model)]
    for candidates, how in (
        ([golden for golden in named if golden in lost], "found by name: recorded as {}, which is gone"),
        (alike, "found by interface: recorded as {}, which is gone"),
        (named, "found by name: recorded as {}"),
    ):
        if len(candidates) == 1:
            return Found(candidates[0], how.format(candidates[0].match["file"]))
    return None


def is_orphan(golden: Golden) -> bool:
    """Whether the golden was recorded of a file that is no longer in its place."""
    return "file" in golden.match and not (golden.folder / golden.match["file"]).is_file()


def interface(model: onnx.ModelProto) -> dict[str, Any]:
    """Name, type and rank of each input and output, in JSON types."""
    from verify.model.walk import fed_inputs

    def ports(values: Iterable[Any]) -> list[list[Any]]:
        return [[value.name, *_type(value.type.tensor_type)] for value in values]

    return {"inputs": ports(fed_inputs(model.graph)), "outputs": ports(model.graph.output)}


def _type(tensor: Any) -> tuple[int, int]:
    """Number of the element type, and rank; -1 for an unknown rank."""
    return tensor.elem_type, len(tensor.shape.dim) if tensor.HasField("shape") else -1


def content_hash(path: Path, model: onnx.ModelProto) -> str:
    """SHA-256 of a model's file and of the files beside it that hold its weights."""
    from verify.cache import file_hash
    from verify.model.external import external_files

    parts = [file_hash(path), *(file_hash(file) for file in external_files(path, model))]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def models_of(file: Path) -> list[Path] | None:
    """The models that the goldens beside this file were recorded of, as far as they are here; None for other files.

    `file` is the index of a golden folder or the data of one golden.
    """
    folder = file.parent
    if file.suffix not in (".json", ".npz") or not (folder / INDEX).is_file():
        return None
    goldens = [golden for golden in read_index(folder) if file.name in (INDEX, golden.data) and "file" in golden.match]
    places = [Path(os.path.relpath(folder / golden.match["file"])) for golden in goldens if not is_orphan(golden)]
    return list(dict.fromkeys(places))


def select(goldens: Sequence[Golden], name: str, folder: Path) -> Golden:
    """The golden called `name`: its id, the path of its model, the file of its data, or its model's file name.

    Raises:
        SurgeonError: there is none, or several.
    """
    here = place(Path(name), folder)
    for called in (
        lambda golden: name in (golden.id, golden.data),
        lambda golden: golden.match.get("file") == here,
        lambda golden: os.path.basename(golden.match.get("file", "")) == name,
    ):
        found = [golden for golden in goldens if called(golden)]
        if len(found) == 1:
            return found[0]
        if found:
            raise SurgeonError(f"{folder}: several goldens are called {name!r}: {', '.join(g.id for g in found)}")
    has = ", ".join(golden.id for golden in goldens) or "none"
    raise SurgeonError(f"{folder}: no golden called {name!r}; it has {has}")
