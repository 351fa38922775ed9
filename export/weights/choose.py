"""Choose the weights of a model: the official checkpoint, a given file, or reference weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.weights import reference as reference_weights
from export.weights.checkpoints import checkpoint, fetch, load
from export.weights.download import NoNetwork
from verify.errors import SurgeonError

REFERENCE = "reference"
SOURCES = ("official", "reference", "auto")


@dataclass(frozen=True)
class Weights:
    """`name` goes into the metadata: the checkpoint's SHA-256, or "reference:SEED". `note` is for the screen."""

    name: str
    note: str
    path: Path | None = None

    @property
    def reference(self) -> bool:
        return self.name.startswith(REFERENCE)


def find_weights(
    model_type: str,
    version: str,
    folder: Path,
    *,
    source: str = "official",
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Weights:
    """Choose the weights and fetch the file if needed; no weights are loaded yet.

    "official" downloads the checkpoint into `folder` unless it is there; "auto" falls back to reference weights
    where no network can be reached, and its note says so.
    """
    if source == REFERENCE:
        return _reference("reference weights, as requested: deterministic, untrained, they track nothing")
    entry = checkpoint(model_type, version)
    try:
        path = fetch(entry, folder, progress)
    except NoNetwork as error:
        if source != "auto":
            raise SurgeonError(
                f"{error}; fetch {entry.file} elsewhere and pass --checkpoint, or pass --weights reference"
            ) from error
        return _reference(f"NO CHECKPOINT: {error}. Reference weights are used instead: untrained, they track nothing")
    known = "SHA-256 checked" if entry.sha256 else "no published SHA-256 to check it against"
    return Weights("official", f"{entry.file}, {known}", path)


def _reference(note: str) -> Weights:
    return Weights(f"{REFERENCE}:{reference_weights.DEFAULT_SEED}", note)


def apply(model: Any, weights: Weights, model_type: str, version: str, *, trust: bool = False) -> str:
    """Put the weights into a stock model; returns the name for the metadata (see `Weights.name`)."""
    if weights.reference:
        reference_weights.fill(model)
        return weights.name
    assert weights.path is not None
    entry = checkpoint(model_type, version)
    # A 2.0 file downloaded from the official server is accepted although its hash is not known here.
    fetched = weights.name == "official" and entry.sha256 is None
    return load(model, weights.path, entry, trust=trust or fetched, own=weights.name == "file")
