"""Official SAM2 checkpoints: their addresses and their hashes; and loading a checkpoint of any layout.

A checkpoint is a pickle, and a pickle is code: its SHA-256 is checked before it is opened, and no code of it is run
(export/weights/layouts.py). URLs are those of the sam2 project's `download_ckpts.sh`; the SHA-256 values of the 2.1
files are those that several public projects pin. For the 2.0 files no such value is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.weights.download import check_sha256, download, file_sha256
from export.weights.layouts import read_state
from export.weights.sam2_model import MODEL_TYPES, VERSIONS, check_choice
from verify.errors import SurgeonError
from verify.report import counted

BASE_URL = "https://dl.fbaipublicfiles.com/segment_anything_2/"


@dataclass(frozen=True)
class Checkpoint:
    """One official file; `size` in bytes and `sha256` are None where they are not known here."""

    model_type: str
    version: str
    file: str
    sha256: str | None = None
    size: int | None = None

    @property
    def url(self) -> str:
        return BASE_URL + {"2.1": "092824/", "2.0": "072824/"}[self.version] + self.file


HASHES: dict[str, tuple[str, int | None]] = {
    "tiny": ("7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69", 156008466),
    "small": ("6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38", None),
    "base_plus": ("a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5", None),
    "large": ("2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318", 898083611),
}


def checkpoint(model_type: str, version: str = "2.1") -> Checkpoint:
    """The registry's entry; SurgeonError lists the choices when there is none."""
    check_choice("model type", model_type, MODEL_TYPES)
    check_choice("version", version, VERSIONS)
    if version == "2.0":
        return Checkpoint(model_type, version, f"sam2_hiera_{model_type}.pt")
    return Checkpoint(model_type, version, f"sam2.1_hiera_{model_type}.pt", *HASHES[model_type])


def fetch(
    entry: Checkpoint, folder: Path, progress: Callable[[int, int | None], None] = lambda done, total: None
) -> Path:
    """The checkpoint in `folder`, downloaded unless it is there already. Raises what `download` raises."""
    path = folder / entry.file
    if not path.exists():
        download(entry.url, path, sha256=entry.sha256, progress=progress)
    return path


def load(model: Any, path: Path, entry: Checkpoint, *, trust: bool = False, own: bool = False) -> str:
    """Load a checkpoint file into a stock model; returns the file's SHA-256.

    The file may have any layout of `export.weights.layouts`. One whose SHA-256 is not the registry's is refused unless
    `trust`. Where the registry knows none (2.0), only `trust` lets a file in. `own` says that the user named the file.
    Raises SurgeonError for a file that is missing, altered, unreadable or of another model.
    """
    if not path.is_file():
        raise SurgeonError(f"{path}: no such checkpoint; leave --checkpoint out to download {entry.file}")
    found = file_sha256(path)
    if not trust and found != entry.sha256:
        _check_origin(path, entry, found, own)
    state = read_state(path)
    fits = (state.model_type, state.version) == (entry.model_type, entry.version)
    if state.model_type and not fits:
        raise SurgeonError(
            f"{path} holds weights of SAM{state.version} {state.model_type}, not of SAM{entry.version} "
            f"{entry.model_type}; use surgeon export {state.model_type} --version {state.version}"
        )
    _load_state(model, path, entry, state.tensors)
    return found


def _check_origin(path: Path, entry: Checkpoint, found: str, own: bool) -> None:
    """Raise SurgeonError for a file whose SHA-256 is not the official one."""
    if entry.sha256 is None:
        raise SurgeonError(
            f"no SHA-256 of {entry.file} is known to check {path} against (it is {found}); "
            "pass --trust-checkpoint if you know where the file is from"
        )
    if own:
        raise SurgeonError(
            f"{path} is not the official {entry.file} (SHA-256 {found[:16]}..., expected {entry.sha256[:16]}...); "
            "if it is a checkpoint of your own, pass --trust-checkpoint; if it is a download, fetch it again"
        )
    check_sha256(path, entry.sha256)


def _load_state(model: Any, path: Path, entry: Checkpoint, tensors: Mapping[str, Any]) -> None:
    wanted = model.state_dict()
    missing, extra = [n for n in wanted if n not in tensors], [n for n in tensors if n not in wanted]
    if missing or extra:
        raise SurgeonError(
            f"{path} is not a SAM{entry.version} {entry.model_type} checkpoint: "
            f"{counted(len(missing), 'tensor')} missing, {len(extra)} unknown "
            f"(first: {(missing or extra)[0]}); choose the model type it belongs to"
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(wanted[name].shape)}"
            raise SurgeonError(f"{path}: tensor {name} is {shapes}; the weights are of another configuration of SAM2")
    model.load_state_dict(tensors)
