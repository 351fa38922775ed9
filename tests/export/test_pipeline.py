"""Requests, metadata, and a whole export by the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

pytest.importorskip("sam2")

from export.pipeline import Request, metadata
from verify.errors import SurgeonError
from verify.interface.recognise import read_metadata

Build = Callable[..., Any]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("huge"), "choose tiny"),
        (Request(version="3"), r"choose 2\.1"),
        (Request(image_size=100), "multiple of 32"),
        (Request(semantics="sam3"), "choose sam2 or masktracker|choose sam2, masktracker"),
        (Request(target="tvm"), "choose tensorrt-rtx"),
        (Request(batch="all"), "whole number"),
        (Request(opset=3), "choose 17"),
    ],
)
def test_a_request_is_checked_before_anything_is_loaded(request_: Request, said: str) -> None:
    with pytest.raises(SurgeonError, match=said):
        request_.check()


def test_metadata_name_the_weights() -> None:
    request = Request(image_size=512, batch="dynamic", semantics="masktracker")
    found = metadata(request, request.spec_file()["mask_decoder"], "reference:1")
    assert found["checkpoint"] == "reference:1"
    assert (found["module"], found["image_size"], found["batch"]) == ("mask_decoder", "512", "dynamic")


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path) -> None:
    """Four checked files, and a second run that leaves them alone."""
    call = [sys.executable, "-m", "surgery", "export", "tiny", "--weights", "reference", "--image-size", "128"]
    call += ["--batch", "dynamic", "--check", "-o", str(tmp_path), "--raw"]
    first = subprocess.run(call, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "reference weights" in first.stderr
    assert first.stdout.count("  pass   stock SAM2  max ") == 4
    assert "4 models: all checks passed; checks: 16 passed" in first.stdout
    files = sorted(path.name for path in tmp_path.glob("*.onnx"))
    assert files == ["image_encoder.onnx", "mask_decoder.onnx", "memory_attention.onnx", "memory_encoder.onnx"]
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == files
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.onnx")}
    for path in before:
        assert read_metadata(onnx.load(path))["checkpoint"] == "reference:1"
    second = subprocess.run([*call[:-1]], capture_output=True, text=True, check=False)
    assert second.returncode == 0
    assert second.stdout.count("nodes, reused") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
