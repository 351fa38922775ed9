"""The fixed model runs beside the original: what it gives counts once, and it can be ended."""

from __future__ import annotations

import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

import surgery
from surgery import job
from surgery.begun import Begun
from surgery.passes import all_passes
from tests.surgery.test_guard import liar
from verify.errors import FoundWanting
from verify.runner import open_session

ENDLESS = """<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) {
go = Constant<value = bool {1}>()
y = Loop(, go, x) <body = b (int64 i, bool c, float[2] a) => (bool d, float[2] e) { d = Identity(c) e = Neg(a) }> }"""
HALF = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Neg(x) }'
X = {"x": np.array([1.0, -2.0], np.float32)}
WEIGHTS = 1 << 19  # floats: 2 MB, which is more than what is not worth a thread


def begun(text: str, first: dict[str, Any] | None) -> Begun:
    queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    queue.put(first)
    return Begun(lambda: open_session(parser.parse_model(text)), queue, dict)


def test_the_run_that_began_counts_and_other_inputs_run() -> None:
    model = begun(HALF, X)
    assert model.run(X).outputs["y"].tolist() == [-1.0, 2.0]
    assert model.run({"x": np.array([5.0, 6.0], np.float32)}).outputs["y"].tolist() == [-5.0, -6.0]
    assert begun(HALF, None).run(X).outputs["y"].tolist() == [-1.0, 2.0]


def test_a_model_that_cannot_be_opened_says_why() -> None:
    assert "NoSuch" in begun(HALF.replace("Neg", "NoSuch"), X).run(X).error


def test_a_fixed_model_without_end_is_ended() -> None:
    started = time.perf_counter()
    run = begun(ENDLESS, X).run(X, timeout=0.5)
    assert "longer than the original" in run.error
    assert time.perf_counter() - started < 20


def test_stop_ends_what_waits_for_inputs() -> None:
    queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    model = Begun(lambda: open_session(parser.parse_model(HALF)), queue, dict)
    started = time.perf_counter()
    model.stop()
    assert time.perf_counter() - started < 20


def weighty(tmp_path: Path) -> Path:
    """A file large enough for its original to run beside the passes, with a node too many."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 4] x) => (float[n, 4] y) { a = Identity(x)  b = Add(a, z)  y = Sqrt(b) }"""
    model = parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((WEIGHTS, 4), 0.5, "f")[:1], "z"))
    ballast = onnx.numpy_helper.from_array(np.arange(WEIGHTS, dtype="f"), "ballast")
    model.graph.initializer.append(ballast)
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=1))
    model.graph.output.append(onnx.helper.make_tensor_value_info("most", onnx.TensorProto.FLOAT, [1]))
    source = tmp_path / "weighty.onnx"
    onnx.save(model, source)
    assert source.stat().st_size > job.AHEAD[0]
    return source


def test_a_weighty_model_is_compared_and_smaller(tmp_path: Path) -> None:
    report = surgery.fix(weighty(tmp_path), tmp_path / "fixed.onnx")
    parity = next(check for check in report.checks if check.name == "parity")
    assert parity.status == "pass"
    assert "equal" in parity.message
    assert len(onnx.load(tmp_path / "fixed.onnx").graph.node) < 4


def test_a_wrong_pass_is_caught_in_a_weighty_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar("Abs"))
    monkeypatch.setattr(job, "all_passes", lambda: rules)
    source = weighty(tmp_path)
    with pytest.raises(FoundWanting, match=r"output 'y'.*SG999 \(liar\)"):
        surgery.fix(source, tmp_path / "fixed.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["weighty.onnx"]
