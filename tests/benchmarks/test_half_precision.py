"""The benchmark of half precision: what counts as lost, and that a tool that was not run is named on the page."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx
from onnx import parser

from benchmarks import half_precision

SQUARES = """<ir_version: 8, opset_import: ["" : 17]>
a (float[4] x) => (float[4] y) { h = Cast<to=10>(x)  s = Mul(h, h)  r = Sqrt(s)  y = Cast<to=1>(r) }"""


def test_values_that_overflow_in_half_precision_are_counted() -> None:
    feeds = {
        "ordinary": {"x": np.float32([1.1, 2.2, 3.3, 4.4])},
        "zero_rows": {"x": np.zeros(4, np.float32)},
        "large": {"x": np.float32([100, 200, 300, 400])},
    }
    exact = {name: [np.abs(feed["x"].astype(np.float64))] for name, feed in feeds.items()}
    found = half_precision.compared(parser.parse_model(SQUARES), feeds, exact)
    assert found["not finite"] == {"ordinary": 0, "zero_rows": 0, "large": 2}
    assert 0 < found["error"]["ordinary"] < 1e-3
    assert found["error"]["zero_rows"] == 0


def test_an_output_that_is_finite_nowhere_has_no_error() -> None:
    feeds = {"large": {"x": np.float32([500, 600, 700, 800])}}
    found = half_precision.compared(parser.parse_model(SQUARES), feeds, {"large": [feeds["large"]["x"]]})
    assert found["not finite"] == {"large": 4}
    assert found["error"] == {"large": None}


def test_a_tool_whose_python_is_not_given_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    onnx.save(parser.parse_model(SQUARES), file)
    options = Namespace(peer_python=None, autocast_python=None, work=tmp_path / "work")
    row = half_precision.measured("modelopt autocast", file, options)
    assert row == {"error": "not measured: no Python given that has it"}
    machine = {"processors": 2, "onnxruntime": "1.2", "gpu": "no GPU"}
    figures = {"bytes": 1234, "in float32": 3, "build": "refused", "not finite": dict.fromkeys(half_precision.SETS, 2)}
    figures["error"] = dict.fromkeys(half_precision.SETS, 0.001)
    original = {"bytes": 5000, "build": "refused", "weights alone": dict.fromkeys(half_precision.SETS, 0.25)}
    lost = {**figures, "error": {**figures["error"], "large": None}}
    models = {"small": {"original": original, "ort float16": figures, "modelopt autocast": row, "surgeon fp16": lost}}
    page = half_precision.page({"machine": machine, "models": models})
    assert "| small | ort float16 | 1,234 | 3 | 6 | 1.0e-03 | 1.0e-03 | 1.0e-03 | not built |" in page
    assert "| small | original | 5,000 |  |  | 2.5e-01 | 2.5e-01 | 2.5e-01 | not built |" in page
    assert "| small | surgeon fp16 | 1,234 | 3 | 6 | 1.0e-03 | 1.0e-03 | none is finite | not built |" in page
    assert "| small | modelopt autocast | no result |" in page
    assert "- small, modelopt autocast: not measured: no Python given that has it" in page


def test_no_models_is_a_usage_error(tmp_path: Path) -> None:
    assert half_precision.main(["--work", str(tmp_path), "--results", str(tmp_path)]) == 2
    assert not (tmp_path / "half_precision.json").exists()
