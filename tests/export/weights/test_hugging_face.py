"""Names of Hugging Face repositories as checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.weights import hugging_face
from verify.errors import SurgeonError

NAME = "facebook/sam2.1-hiera-base-plus"


def test_a_file_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--facebook--sam2.1-hiera-base-plus" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "sam2.1_hiera_base_plus.pt").touch()
    assert hugging_face.find(NAME) == (folder / "sam2.1_hiera_base_plus.pt", "base_plus", "2.1")


def test_what_to_download_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(SurgeonError, match=r"hub; run: hf download facebook/sam2-hiera-tiny sam2_hiera_tiny\.pt"):
        hugging_face.find("facebook/sam2-hiera-tiny")


def test_unknown_repositories_are_refused() -> None:
    with pytest.raises(SurgeonError, match=r"no SAM2 repository; choose facebook/sam2\.1-hiera-tiny"):
        hugging_face.find("facebook/sam2.1-hiera-huge")


def test_paths_are_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hugging_face.is_name(NAME)
    assert not hugging_face.is_name("checkpoints/sam2.1_hiera_tiny.pt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facebook").mkdir()
    (tmp_path / NAME).touch()
    assert not hugging_face.is_name(NAME)
