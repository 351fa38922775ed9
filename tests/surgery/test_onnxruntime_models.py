"""Models that onnxruntime's optimizer or quantizer wrote: refused before `fix`, built after, with the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import surgery
from benchmarks.onnxruntime_forms import dynamic, level, static
from surgery.targets.probe import ask_tensorrt
from verify.run.saturation import without_saturation
from verify.run.session import open_session
from verify.tensorrt import engine

LAYER = """<ir_version: 8, opset_import: ["" : 17]>
g (int64[B,6] ids) => (float[B,6,16] y) {
  e = Gather(words, ids) h = Add(e, places) x = LayerNormalization<epsilon = 1e-5>(h, scale, bias)
  q0 = MatMul(x, wq) q1 = Add(q0, b16) q2 = Reshape(q1, heads) q = Transpose<perm = [0,2,1,3]>(q2)
  k0 = MatMul(x, wk) k1 = Add(k0, b16) k2 = Reshape(k1, heads) k = Transpose<perm = [0,2,3,1]>(k2)
  v0 = MatMul(x, wv) v1 = Add(v0, b16) v2 = Reshape(v1, heads) v = Transpose<perm = [0,2,1,3]>(v2)
  s0 = MatMul(q, k) s1 = Div(s0, root) s = Softmax<axis = -1>(s1) c0 = MatMul(s, v)
  c1 = Transpose<perm = [0,2,1,3]>(c0) c = Reshape(c1, merged) o0 = MatMul(c, wo) o1 = Add(o0, b16)
  r = Add(o1, x) n = LayerNormalization<epsilon = 1e-5>(r, scale, bias)
  f0 = MatMul(n, wf) f1 = Add(f0, b32) g0 = Div(f1, two) g1 = Erf(g0) g2 = Add(g1, one) g3 = Mul(f1, g2)
  f2 = Mul(g3, half) p0 = MatMul(f2, wp) p1 = Add(p0, b16) z = Add(p1, n)
  y = LayerNormalization<epsilon = 1e-5>(z, scale, bias) }"""
NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
g (float[B,3,8,8] x) => (float[B,4] y) {
  a0 = Conv<pads = [1,1,1,1]>(x, w1) a = LeakyRelu<alpha = 0.1>(a0) b0 = Conv<pads = [1,1,1,1]>(a, w2)
  b1 = Sigmoid(b0) b2 = Mul(b1, a) b3 = Add(b2, a) b4 = Concat<axis = 1>(b3, a)
  p = AveragePool<kernel_shape = [2,2], strides = [2,2]>(b4) m = GlobalAveragePool(p) f = Flatten(m)
  l = Gemm(f, wl, b4l) y = Softmax<axis = -1>(l) }"""
SIZES = {
    "words": (20, 16), "places": (6, 16), "scale": (16,), "bias": (16,), "wq": (16, 16), "wk": (16, 16),
    "wv": (16, 16), "wo": (16, 16), "wf": (16, 32), "wp": (32, 16), "b16": (16,), "b32": (32,), "w1": (8, 3, 3, 3),
    "w2": (8, 8, 3, 3), "wl": (16, 4), "b4l": (4,),
}  # fmt: skip
CONSTANTS = {
    "heads": np.int64([0, 0, 2, 8]), "merged": np.int64([0, 0, 16]), "root": np.float32(8**0.5),
    "two": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5),
}  # fmt: skip
FORMS: dict[str, Callable[[Path, Path, dict[str, np.ndarray]], None]] = {
    "extended": lambda source, target, feeds: level(source, target, "extended"),
    "all": lambda source, target, feeds: level(source, target, "all"),
    "dynamic": lambda source, target, feeds: dynamic(source, target),
    "QOperator": lambda source, target, feeds: static(source, target, feeds, "QOperator"),
    "QDQ": lambda source, target, feeds: static(source, target, feeds, "QDQ"),
}


def model(text: str) -> onnx.ModelProto:
    """A layer of a transformer or a network of convolutions, with random weights."""
    made = onnx.parser.parse_model(text)
    numbers, read = np.random.default_rng(0), {name for node in made.graph.node for name in node.input}
    for name in sorted(read & (SIZES.keys() | CONSTANTS.keys())):
        value = CONSTANTS.get(name)
        if value is None:
            value = (numbers.standard_normal(SIZES[name]) / 4).astype(np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return made


def feeds_of(made: onnx.ModelProto) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(1)
    if made.graph.input[0].name == "ids":
        return {"ids": numbers.integers(0, 20, (2, 6))}
    return {"x": numbers.standard_normal((2, 3, 8, 8)).astype(np.float32)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", [LAYER, NETWORK], ids=["transformer", "convolutions"])
def test_refused_before_and_built_after(text: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not engine.available():
        pytest.skip("TensorRT-RTX is not installed: nothing here can say whether it takes the model")
    monkeypatch.chdir(tmp_path)  # the quantizer leaves files where it runs
    source, target = tmp_path / "model.onnx", tmp_path / "written.onnx"
    onnx.save(model(text), source)
    feeds = feeds_of(onnx.load(source))
    FORMS[form](source, target, feeds)
    written = onnx.load(target)
    profile = {name: list(value.shape) for name, value in feeds.items()}
    assert ask_tensorrt(written, profile) is not None
    fixed, report = surgery.fix_model(written)
    assert [check.message for check in report.checks if check.status == "fail" or check.name == "pass"] == []
    assert ask_tensorrt(fixed, profile) is None
    wanted, got = (
        open_session(each, backend="onnxruntime").run(feeds) for each in (without_saturation(written), fixed)
    )
    assert (wanted.error, got.error) == ("", "")
    np.testing.assert_allclose(got.outputs["y"], wanted.outputs["y"], rtol=1e-4, atol=1e-5)
