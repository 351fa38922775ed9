"""The generated models are valid and work; the page says what each tool took, and where one failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks import scale, scale_models


def test_the_graph_is_valid_and_of_the_size_asked_for() -> None:
    model = scale_models.written_out(100)
    onnx.checker.check_model(model, full_check=True)
    assert 100 <= len(model.graph.node) < 125
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": np.full((2, 4, scale_models.WIDTH), 0.1, np.float32)})
    assert result.shape == (2, 4, scale_models.WIDTH)
    assert np.isfinite(result).all()


def test_weights_in_the_file_and_beside_it_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale_models, "SIDE", 8)
    inside = scale_models.heavy(3)
    onnx.save(scale_models.heavy(3, tmp_path / "model.data"), tmp_path / "model.onnx")
    outside = onnx.load(tmp_path / "model.onnx")
    for one, other in zip(inside.graph.initializer, outside.graph.initializer, strict=True):
        assert np.array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(other))


def test_the_page_says_what_each_took() -> None:
    def cell(seconds: float, nodes: int) -> dict[str, Any]:
        return {"seconds": seconds, "memory": 3e9, "nodes": nodes, "runs": nodes > 1}

    tools = (*scale.peers.OURS, *scale.PEERS)
    small = {"nodes": 1000, "bytes": 1e6} | {tool: cell(1.0, 500) for tool in tools}
    large = {"nodes": 50_000, "bytes": 2e9} | {tool: cell(100.0, 1) for tool in tools}
    large["onnxsim"] = {"seconds": 600.0, "error": "took longer than 600 s"}
    page = scale.page({"machine": {"processors": 2}, "models": {"1,000 nodes": small, "50,000 nodes": large}})
    assert "500, 1.0 s, 3.0 GB |" in page
    assert "1, 100.0 s, 3.0 GB = 1.5x, does not run" in page
    assert "fails: took longer than 600 s" in page
    assert "surgeon 2.00, surgeon --no-guard 2.00, onnxslim 2.00" in page
