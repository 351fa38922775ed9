"""Official SAM2 checkpoints: their addresses, their hashes, and how they are read.

A checkpoint is a pickle, and a pickle is code: its SHA-256 is checked before it is opened, and it is opened with
`weights_only=True`. URLs are those of the sam2 project's `download_ckpts.sh`; the SHA-256 values of the 2.1 files
are those that several public projects pin. For the 2.0 files no such value is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.weights.download import check_sha256, download
from export.weights.sam2_model import MODEL_TYPES, VERSIONS, check_choice
from verify.errors import SurgeonError

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


def load(model: Any, path: Path, entry: Checkpoint, *, trust: bool = False) -> str:
    """Load a checkpoint file into a stock model; returns the file's SHA-256.

    A file whose SHA-256 is not the registry's is refused unless `trust`. Where the registry knows none (2.0), only
    `trust` lets a file in. Raises SurgeonError for a file that is missing, altered, unreadable or of another model.
    """
    if not path.is_file():
        raise SurgeonError(f"{path}: no such checkpoint; leave --checkpoint out to download {entry.file}")
    found = check_sha256(path, None if trust else entry.sha256)
    if entry.sha256 is None and not trust:
        raise SurgeonError(
            f"no SHA-256 of {entry.file} is known to check {path} against (it is {found}); "
            "pass --trust-checkpoint if you know where the file is from"
        )
    missing, extra = _load_state(model, path)
    if missing or extra:
        example = (missing or extra)[0]
        raise SurgeonError(
            f"{path} is not a SAM{entry.version} {entry.model_type} checkpoint: {len(missing)} tensors missing, "
            f"{len(extra)} unknown (first: {example}); choose the model type it belongs to"
        )
    return found


def _load_state(model: Any, path: Path) -> tuple[list[str], list[str]]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model"]
        result = model.load_state_dict(state, strict=False)
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        reason = " ".join(str(error).split())[:160]
        raise SurgeonError(f"{path} cannot be read as a SAM2 checkpoint: {reason}") from error
    return list(result.missing_keys), list(result.unexpected_keys)
