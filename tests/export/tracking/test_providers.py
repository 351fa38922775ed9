"""`--provider`: refused with exit 4 where it is not there or does not start; never the CPU in its place. Memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.tracking import modules
from export.tracking.providers import open_session
from tests.export import toy_networks
from verify.errors import MissingBackend

WITHOUT_GPU = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.mark.skipif(not WITHOUT_GPU, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_installed_ends_with_4(tmp_path: Path, provider: str) -> None:
    pytest.importorskip("PIL")
    clip, networks = toy_networks.write_clip(tmp_path / "clip"), toy_networks.write(tmp_path / "toy")
    command = [sys.executable, "-m", "surgery", "track", str(clip), "--models", str(networks), "--box", "5,5,30,30"]
    options = ["--csv", str(tmp_path / "boxes.csv"), "--provider", provider]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 4
    assert f"--provider {provider}: this onnxruntime has no " in done.stderr
    assert "pip install onnxruntime-gpu" in done.stderr
    assert not (tmp_path / "boxes.csv").exists()


def test_a_provider_that_does_not_start_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu without a driver lists CUDA, warns, and opens the model on the CPU."""
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    session = onnxruntime.InferenceSession

    def on_cpu(path: str, options: object, providers: list[str], **_: object) -> object:
        assert providers == listed
        return session(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cpu)
    with pytest.raises(
        MissingBackend, match="CUDAExecutionProvider does not start here, and onnxruntime went on with CPU"
    ):
        modules.load(toy_networks.write(tmp_path), provider="cuda")


def test_a_provider_that_fails_to_open_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **options: object) -> object:
        assert options["enable_fallback"] == 0
        raise RuntimeError("CUDA driver version is insufficient\nmore")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(MissingBackend, match=r"--provider cuda: CUDA driver version is insufficient$"):
        modules.load(toy_networks.write(tmp_path), provider="cuda")


def test_sessions_work_in_the_memory_that_the_one_before_has_freed(tmp_path: Path) -> None:
    """Else the system clears every page of every large tensor again: a fifth of the image encoder's processor time."""
    text = """<ir_version: 9, opset_import: ["" : 18]>
        g (float[1, 16777216] x) => (float[1, 1] y) { e = Exp(x)  s = Sin(e)  y = ReduceMean<keepdims = 1>(s) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    first, second = (open_session(tmp_path / "m.onnx", threads=1) for _ in range(2))
    feeds = {"x": np.zeros((1, 1 << 24), np.float32)}
    found = float(first.run(None, feeds)[0].item())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert float(second.run(None, feeds)[0].item()) == found
    new_pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert new_pages * resource.getpagesize() < 8 << 20  # of the 64 MB of each tensor
