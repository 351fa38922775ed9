"""The page of a benchmark run says what was measured, and says so where something failed or was left out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks import peers, tables
from benchmarks.frames import MODULES

MACHINE = {"processors": 2, "onnxruntime": "1.32.0", "gpu": "no GPU here"}


def frame(seconds: float) -> dict[str, Any]:
    return {
        "modules": dict.fromkeys(MODULES, seconds),
        "errors": {module: {"y": 1e-6} for module in MODULES},
        "frame": 4 * seconds,
    }


def test_ratios_and_failures_are_shown() -> None:
    broken = {"modules": {"image_encoder": "InvalidGraph: no"}, "errors": {}, "frame": None}
    page = tables.page(
        "tiny", {"machine": MACHINE, "frame": {"reference": frame(2.0), "ours": frame(1.0), "bad": broken}}
    )
    assert "no GPU here" in page
    assert "| ours | 1.00 | 1.00 | 1.00 | 1.00 | 4.00 | 0.50 | 1.0e-06 |" in page
    assert "| bad | fails | - | - | - | - | - | -1.0e+00 |" in page


def test_builds_that_fail_and_attention_that_is_not_fused_are_named() -> None:
    good = {
        "kernels": 3,
        "fused": 0,
        "attentions": 1,
        "scratch_mb": 1.0,
        "weights_mb": 2.0,
        "not_fused": {"a": "narrow"},
    }
    results = {"ours mixed": {**dict.fromkeys(MODULES, good), "memory_encoder": {"error": "no file"}}}
    page = tables.page("tiny", {"machine": MACHINE, "tensorrt": results})
    assert "| memory_encoder | ours mixed | no file |" in page
    assert "`a`: narrow" in page
    assert "| all four | ours mixed | 9 |" in page


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    row = peers.run_peer(Path(sys.executable), "onnxscript", tmp_path / "none.onnx", tmp_path / "out" / "none.onnx", 60)
    assert "none.onnx" in row["error"] or "onnxscript" in row["error"]
