"""Checkpoints that are named as on Hugging Face, `facebook/sam2.1-hiera-tiny`: read from its cache folder, if there."""

from __future__ import annotations

import os
from pathlib import Path

from export.weights.sam2_model import MODEL_TYPES
from verify.errors import SurgeonError

PREFIXES = {"2.1": "facebook/sam2.1-hiera-", "2.0": "facebook/sam2-hiera-"}


def is_name(text: str) -> bool:
    """Whether this names a SAM2 repository and not a file."""
    return text.startswith(tuple(PREFIXES.values())) and not Path(text).exists()


def find(name: str) -> tuple[Path, str, str]:
    """The checkpoint of a repository in the cache of huggingface_hub, with its model type and version.

    SurgeonError where the name is none of SAM2's repositories, or the cache does not hold it; the message says what to
    download.
    """
    known = {prefix + kind.replace("_", "-"): (kind, v) for v, prefix in PREFIXES.items() for kind in MODEL_TYPES}
    if name not in known:
        raise SurgeonError(f"{name} is no SAM2 repository; choose {', '.join(known)}")
    model_type, version = known[name]
    file = f"sam2{'.1' if version == '2.1' else ''}_hiera_{model_type}.pt"
    snapshots = cache_folder() / f"models--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob(f"*/{file}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SurgeonError(f"{name} is not in {cache_folder()}; run: hf download {name} {file}")
    return found[-1], model_type, version


def cache_folder() -> Path:
    """Where huggingface_hub keeps downloads, by its own environment variables."""
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or str(Path(home) / "hub")
    return Path(folder).expanduser()
