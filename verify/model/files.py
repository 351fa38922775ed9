"""Finds the models in folders, and refuses pointers that Git LFS left in place of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from verify.errors import SurgeonError

LFS = b"version https://git-lfs.github.com/spec/"


def require_content(path: Path) -> None:
    """Raise SurgeonError where the file is a Git LFS pointer; OSError as `open` raises it."""
    with path.open("rb") as stream:
        if stream.read(len(LFS)) == LFS:
            raise SurgeonError(f"{path}: a Git LFS pointer, not the file itself; fetch the file with: git lfs pull")


DATA = (".onnx.data", ".onnx_data")  # where exporters put weights beside MODEL.onnx


def find_models(paths: Iterable[Path]) -> list[Path]:
    """The files given, and every file that ends in .onnx (in any case) at any depth of the folders given; each once.

    A file of weights (`net.onnx.data`) stands for its model. Hidden folders and virtual environments inside a folder
    are left out.

    Raises:
        SurgeonError: a folder holds no such file.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(_inside(path)) if path.is_dir() else [_model_of(path)]
        if not inside:
            raise SurgeonError(f"{path}: no .onnx file in this folder or below it")
        found += inside
    return list(dict.fromkeys(found))


def _model_of(path: Path) -> Path:
    ending = next((ending for ending in DATA if path.name.lower().endswith(ending)), "")
    return path.with_name(path.name[: len(path.name) - len(ending)] + ".onnx") if ending else path


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and not _environment(Path(place, name))]
        yield from (Path(place, name) for name in names if name.lower().endswith(".onnx"))


def _environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file()
