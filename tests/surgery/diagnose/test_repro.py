"""Repros: the smallest model that fails alike, checked, with its script and report, and nothing left elsewhere."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from surgery.diagnose import Settings, examine
from surgery.diagnose.repro.write import Repro, write_repros
from verify.errors import SurgeonError
from verify.tensorrt import engine

pytestmark = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")

CHAIN = """
<ir_version: 10, opset_import: ["" : 20, "acme" : 1]>
chain (float[8,64] x, bool c) => (float[8,64] y, float[8,64] g) {
  a = MatMul(x, w)
  [norm] b, m, i = LayerNormalization(a, scale)
  [mine] d = acme.Swirl(b)
  [last] g = Neg(d)
  e = MatMul(b, w)
  y = If(c) <
    then_branch = t () => (float[8,64] u) { [shift] u = BitShift<direction = "LEFT">(e, e) },
    else_branch = f () => (float[8,64] v) { v = Neg(e) }>
}
"""
ATTENTION = """
<ir_version: 10, opset_import: ["" : 23]>
attention (float[1,2,4,64] q, float[1,2,4,64] k) => (float[1,2,4,64] y) {
  a = Relu(q)  b = Attention(a, k, k)  c = Sigmoid(b)  y = Neg(c)
}
"""


def prepare(path: Path, text: str) -> Path:
    model = onnx.parser.parse_model(text)
    weights = {"w": np.ones((64, 64), np.float32), "scale": np.ones(64, np.float32)}
    used = {name for node in model.graph.node for name in node.input}
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items() if name in used]
    model.graph.initializer.extend(tensors)
    onnx.save(model, path)
    return path


def repros(tmp_path: Path, text: str) -> list[Repro]:
    path = prepare(tmp_path / "model.onnx", text)
    _, cases = examine(path, Settings(seconds=60.0))
    return write_repros(cases, path, tmp_path / "out")


def test_each_refusal_becomes_one_small_node_that_fails_alike(tmp_path: Path) -> None:
    made = {repro.case.finding.node: repro for repro in repros(tmp_path, CHAIN)}
    assert set(made) == {"norm", "mine", "shift"}
    for repro in made.values():
        assert repro.folder is not None
        path = repro.folder / "model.onnx"
        assert [node.op_type for node in onnx.load(path).graph.node] == [repro.case.op]
        assert path.stat().st_size < 300
        refusal = engine.parse(path)[0]
        assert (refusal.code, refusal.op) == (repro.case.code, repro.case.op)


def test_builder_refusal_is_cut_out_too(tmp_path: Path) -> None:
    (repro,) = repros(tmp_path, ATTENTION)
    assert repro.folder is not None
    path = repro.folder / "model.onnx"
    assert [node.op_type for node in onnx.load(path).graph.node] == ["Attention"]
    assert engine.parse(path) == []
    assert not engine.build(path).ok


def test_refused_input_and_initializer_are_shown_with_one_reader(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    types (float[2] x, uint16[2] n) => (float[2] y) <uint32[2] k = {1, 2}> {
      a = Relu(x)  f = Cast<to = 1>(n)  g = Cast<to = 1>(k)  h = Add(f, g)  y = Add(a, h) }"""
    made = repros(tmp_path, text)
    assert {repro.case.finding.node: repro.nodes for repro in made} == {"n": 1, "k": 1}
    for repro in made:
        assert repro.folder is not None
        assert repro.case.code in {refusal.code for refusal in engine.parse(repro.folder / "model.onnx")}


def test_script_runs_with_tensorrt_alone_and_report_has_what_a_maintainer_asks_for(tmp_path: Path) -> None:
    made = next(repro for repro in repros(tmp_path, CHAIN) if repro.case.finding.node == "norm")
    assert made.folder is not None
    done = subprocess.run(
        [sys.executable, "-I", "reproduce.py"], cwd=made.folder, capture_output=True, text=True, check=True
    )
    assert "UNSUPPORTED_NODE LayerNormalization" in done.stdout
    report = (made.folder / "report.md").read_text()
    for part in ("1 outputs", engine.version(), onnx.__version__, "pip install"):
        assert part in report


def test_nothing_is_left_but_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    repros(tmp_path, CHAIN)
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "out", "scratch"]


def test_a_target_that_cannot_be_written_is_an_error_of_use(tmp_path: Path) -> None:
    path = prepare(tmp_path / "model.onnx", ATTENTION)
    _, cases = examine(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SurgeonError, match="cannot be written"):
        write_repros(cases, path, tmp_path / "file")
