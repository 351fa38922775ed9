"""Drawn inputs fit the graph that takes them, and runs return errors as data."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest

from verify.errors import SurgeonError
from verify.inputs.draw import draw_inputs, free_dims, load_npz
from verify.run.session import open_session

EMBED = """
<ir_version: 8, opset_import: ["" : 17]>
embed (int64[n, t] ids, bool[n, t] mask, float[n, 1] x) => (float[n, t, 3] y)
<float[5, 3] table = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}> {
  e = Gather(table, ids)  f = Cast<to = 1>(mask)  two = Constant<value = int64[1] {-1}>()
  g = Unsqueeze(f, two)  h = Mul(e, g)  k = Unsqueeze(x, two)  y = Add(h, k)
}
"""


@pytest.mark.parametrize("style", ["random", "zeros", "edge"])
@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_drawn_inputs_run(style: str, backend: str) -> None:
    model = onnx.parser.parse_model(EMBED)
    assert free_dims(model) == ["n", "t"]
    inputs = draw_inputs(model, sizes={"n": 2, "t": 7}, style=style)
    assert inputs["ids"].shape == inputs["mask"].shape == (2, 7)
    assert inputs["x"].shape == (2, 1)
    assert inputs["ids"].min() >= 0
    assert inputs["ids"].max() < 5
    run = open_session(model, backend=backend).run(inputs)
    assert not run.error
    assert run.outputs["y"].shape == (2, 7, 3)


def test_question_marks_are_separate_dims() -> None:
    model = onnx.parser.parse_model(EMBED)
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = "?"
    assert free_dims(model) == ["ids:0", "ids:1", "mask:0", "mask:1", "x:0"]


def test_same_seed_same_arrays() -> None:
    model = onnx.parser.parse_model(EMBED)
    first, second = draw_inputs(model, seed=3), draw_inputs(model, seed=3)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["x"], draw_inputs(model, seed=4)["x"])


def test_bfloat16_goes_through_onnxruntime() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (bfloat16[3] x) => (bfloat16[3] y) { y = Identity(x) }'
    array = np.asarray([1, 2.5, -3], ml_dtypes.bfloat16)
    run = open_session(onnx.parser.parse_model(text), backend="onnxruntime").run({"x": array})
    assert run.error == ""
    assert run.outputs["y"].dtype == array.dtype
    assert np.array_equal(run.outputs["y"], array)


def test_failures_are_data(tmp_path: Path) -> None:
    broken = onnx.parser.parse_model(EMBED)
    broken.graph.node[0].op_type = "NoSuchOperator"
    session = open_session(broken)
    assert "onnxruntime" in session.error
    assert "reference" in session.error
    assert session.run({}).error == session.error
    assert "KeyError" not in open_session(onnx.parser.parse_model(EMBED)).run({}).error
    assert open_session(str(tmp_path / "none.onnx")).error


def test_endless_loop_is_stopped() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) {
      go = Constant<value = bool {1}>()
      y = Loop(, go, x) <body = b (int64 i, bool c, float[1] a) => (bool d, float[1] e) { d = Identity(c) e = Neg(a) }>
    }"""
    for backend in ("onnxruntime", "reference"):
        run = open_session(onnx.parser.parse_model(text), backend=backend).run({"x": np.ones(1, "f")}, timeout=0.5)
        assert run.error
        assert run.seconds < 5


def test_npz_refuses_pickles_and_bombs(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, x=np.ones(3))
    np.savez(bad, x=np.asarray([{}], dtype=object))
    assert load_npz(good)["x"].tolist() == [1, 1, 1]
    for path, limit in ((bad, 1 << 20), (good, 10), (tmp_path / "none.npz", 10), (Path(__file__), 10)):
        with pytest.raises(SurgeonError):
            load_npz(path, limit)


def test_an_archive_that_needs_a_password_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "locked.npz"
    np.savez(path, x=np.ones(3, np.float32))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + place] |= 1  # the bit that says so, in the entry and in the directory
    path.write_bytes(content)
    with pytest.raises(SurgeonError, match="not a readable"):
        load_npz(path)
