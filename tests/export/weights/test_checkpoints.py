"""The registry, and checkpoints that are missing, altered, cut short, foreign or hostile."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.weights.checkpoints import Checkpoint, checkpoint, load
from verify.errors import SurgeonError

Build = Callable[..., Any]


@pytest.mark.parametrize(
    ("model_type", "version", "url"),
    [
        ("tiny", "2.1", "segment_anything_2/092824/sam2.1_hiera_tiny.pt"),
        ("base_plus", "2.1", "segment_anything_2/092824/sam2.1_hiera_base_plus.pt"),
        ("large", "2.0", "segment_anything_2/072824/sam2_hiera_large.pt"),
    ],
)
def test_urls(model_type: str, version: str, url: str) -> None:
    assert checkpoint(model_type, version).url.endswith(url)


def test_hashes_are_known_for_2_1_only() -> None:
    for model_type in ("tiny", "small", "base_plus", "large"):
        assert len(checkpoint(model_type).sha256 or "") == 64
        assert checkpoint(model_type, "2.0").sha256 is None


def test_unknown_choices_are_listed() -> None:
    with pytest.raises(SurgeonError, match="choose tiny, small, base_plus, large"):
        checkpoint("huge")
    with pytest.raises(SurgeonError, match=r"choose 2\.1, 2\.0"):
        checkpoint("tiny", "3")


@pytest.fixture
def saved(thin_model: Build, tmp_path: Path) -> tuple[Any, Path, Checkpoint]:
    """A thin model, its checkpoint file and the registry entry that knows it."""
    import torch

    model = thin_model()
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": model.state_dict()}, path)
    entry = replace(checkpoint("tiny"), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return model, path, entry


def test_a_known_file_is_loaded(saved: tuple[Any, Path, Checkpoint]) -> None:
    model, path, entry = saved
    assert load(model, path, entry) == entry.sha256


def test_a_missing_file(saved: tuple[Any, Path, Checkpoint], tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="no such checkpoint"):
        load(saved[0], tmp_path / "none.pt", saved[2])


def test_a_file_cut_short(saved: tuple[Any, Path, Checkpoint]) -> None:
    model, path, entry = saved
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SurgeonError, match=r"has SHA-256 .* truncated or altered"):
        load(model, path, entry)
    assert path.exists()
    with pytest.raises(SurgeonError, match="cannot be read as a checkpoint"):
        load(model, path, entry, trust=True)


def test_a_file_of_the_user_is_pointed_to_trust_checkpoint(saved: tuple[Any, Path, Checkpoint]) -> None:
    model, path, _ = saved
    said = r"is not the official sam2\.1_hiera_tiny\.pt .* if it is a checkpoint of your own, pass --trust-checkpoint"
    with pytest.raises(SurgeonError, match=said):
        load(model, path, checkpoint("tiny"), own=True)
    assert len(load(model, path, checkpoint("tiny"), own=True, trust=True)) == 64


def test_one_changed_byte(saved: tuple[Any, Path, Checkpoint]) -> None:
    model, path, entry = saved
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SurgeonError, match="has SHA-256"):
        load(model, path, entry)


def test_a_file_of_unknown_hash_needs_trust(saved: tuple[Any, Path, Checkpoint]) -> None:
    model, path, entry = saved
    unknown = replace(entry, sha256=None)
    with pytest.raises(SurgeonError, match="--trust-checkpoint"):
        load(model, path, unknown)
    assert load(model, path, unknown, trust=True) == entry.sha256


def test_another_models_checkpoint(saved: tuple[Any, Path, Checkpoint], thin_model: Build) -> None:
    _, path, entry = saved
    with pytest.raises(SurgeonError, match=r"is not a SAM2\.1 tiny checkpoint: 0 tensors missing, 3 unknown"):
        load(thin_model("2.0"), path, entry)


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('this code ran')",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_never_runs(thin_model: Build, tmp_path: Path, zipped: bool) -> None:
    import torch

    path = tmp_path / "x.pt"
    if zipped:
        torch.save({"model": Hostile()}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Hostile()}, protocol=2))
    with pytest.raises(SurgeonError, match=r"it holds exec, which is code and not run; save the weights"):
        load(thin_model(), path, checkpoint("tiny"), trust=True)
