"""SG162: constants of INT8 are read as TensorRT takes them, and the real builder says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import surgery
from tests.surgery.passes.comparing import Case, keeps_values, run, stays
from verify.tensorrt.engine import build

CODE = "SG162"
REWRITES = [
    Case(
        "a table of bytes",
        """g (int64[2] i) => (float[2] y) <int8[4] w = {1, -2, 3, 4}> {
          r = Gather(w, i)
          y = Cast<to = 1>(r)
        }""",
        after="""g (int64[2] i) => (float[2] y) <int8[4] w = {1, -2, 3, 4}, float t0 = {1}> {
          t1 = DequantizeLinear(w, t0)
          t2 = Gather(t1, i)
          y = Cast<to = 1>(t2)
        }""",
        inputs={"i": [3, 1]},
    ),
]
LEFT_ALONE = [
    Case(
        "nothing but DequantizeLinear reads it",
        """g (int64[2] i) => (float[2] y) <int8[4] w = {1, -2, 3, 4}, float s = {0.5}> {
          f = DequantizeLinear(w, s)
          y = Gather(f, i)
        }""",
    ),
    Case(
        "a scale for each row",
        """g (int64[2] i) => (float[2,2] y) <int8[4,2] w = {1, -2, 3, 4, 5, 6, 7, 8}, float[2] s = {0.5, 0.25}> {
          f = Gather(w, i)
          y = DequantizeLinear<axis = 1>(f, s)
        }""",
    ),
]


CASES = {
    "a cast of weights": "g (float[2,96] x) => (float[2,1024] y) { f = Cast<to = 1>(w)  y = MatMul(x, f) }",
    "a cast to integers": "g (float[2,96] x) => (float[2,1024] y) "
    "{ i = Cast<to = 6>(w)  f = Cast<to = 1>(i)  y = MatMul(x, f) }",
    "a table": "g (int64[3] i) => (float[3,1024] y) { r = Gather(w, i)  y = Cast<to = 1>(r) }",
    "a dequantized table": "g (int64[3] i) => (float[3,1024] y) <float[1] s = {0.3}, int8[1] z = {5}> "
    "{ r = Gather(w, i)  y = DequantizeLinear(r, s, z) }",
}  # fmt: skip


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_builds_and_keeps_values(text: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    weights = rng.integers(-128, 128, (96, 1024)).astype(np.int8)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save(model, tmp_path / "before.onnx")
    fixed, report = surgery.fix_model(model, guard=False)
    onnx.save(fixed, tmp_path / "after.onnx")
    assert "SG162" in {finding.code for finding in report.findings}
    feeds = {"x": rng.normal(size=(2, 96)).astype(np.float32), "i": np.array([0, 95, 7])}
    feeds = {value.name: feeds[value.name] for value in model.graph.input}
    for wanted, got in zip(run(model, feeds), run(fixed, feeds), strict=True):
        np.testing.assert_array_equal(got, wanted, strict=True)
    points = {name: (value.shape,) * 3 for name, value in feeds.items()}
    assert not build(tmp_path / "before.onnx", points).ok
    assert build(tmp_path / "after.onnx", points).ok
    assert (tmp_path / "after.onnx").stat().st_size < 2 * weights.nbytes


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
