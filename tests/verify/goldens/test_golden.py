"""Record a golden, find it again, and see what a changed model looks like against it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from verify.errors import SurgeonError
from verify.goldens import index as golden
from verify.goldens.check import check_golden
from verify.goldens.find import find_golden, folders
from verify.goldens.inputs import make_inputs
from verify.goldens.record import record
from verify.goldens.runs import nudge
from verify.inputs.draw import draw_inputs
from verify.interface.recognise import write_metadata
from verify.report import Check

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
TEXT = """m (float[N,8,16,16] x, int64[4] ids) => (float[N,8,16,16] y, float[4,3] rows) {
    c = Conv<pads=[1,1,1,1]>(x, w)
    y = Tanh(c)
    rows = Gather(table, ids)
}"""


def build(path: Path, text: str = TEXT, **weights: Any) -> onnx.ModelProto:
    random = np.random.Generator(np.random.Philox(5))
    stored = {"w": random.standard_normal((8, 8, 3, 3)).astype(np.float32) * 0.1}
    stored |= {"table": random.standard_normal((10, 3)).astype(np.float32), **weights}
    model = parser.parse_model(HEADER + text)
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in stored.items() if k in used)
    onnx.save(model, path)
    return model


def weight() -> Any:
    random = np.random.Generator(np.random.Philox(5))
    return random.standard_normal((8, 8, 3, 3)).astype(np.float32) * 0.1


def check(path: Path, folder: Path) -> list[Check]:
    model = onnx.load(path)
    found = find_golden(path, model, [folder])
    assert found is not None
    return check_golden(path, model, found.golden)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Path]:
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    record(path, build(path), folder)
    return path, folder


def test_recorded_model_passes_with_figures(recorded: tuple[Path, Path]) -> None:
    (only,) = check(*recorded)
    assert only.status == "pass"
    assert "2 outputs as recorded in 9 cases" in only.message
    assert only.figures["tensors"]["y (normal)"]["sampled"]
    assert only.figures["tensors"]["rows (normal)"]["max_abs"] == 0.0


def test_index_names_what_made_it_and_why_the_tolerance(recorded: tuple[Path, Path]) -> None:
    index = json.loads((recorded[1] / "index.json").read_text())
    (entry,) = index["goldens"]
    assert entry["match"] == {"file": "../net.onnx"}
    assert {"onnx-surgeon", "onnxruntime", "numpy", "outputs", "seed"} <= set(entry["made_by"])
    tolerance = entry["cases"][0]["outputs"][0]["tolerance"]
    assert tolerance["rms_rel"] >= 8 * tolerance["noise"]["rms_rel"] * 0.99
    assert "8 times the largest difference among a second run" in tolerance["reason"]
    assert "2 threads" in tolerance["reason"]
    assert "optimisations on" in tolerance["reason"]
    assert tolerance["rms_rel"] < 1e-5


def test_a_thousandth_of_a_weight_set_to_zero_is_found(recorded: tuple[Path, Path]) -> None:
    path, folder = recorded
    changed = weight()
    changed.reshape(-1)[100] = 0.0
    build(path, w=changed)
    (only,) = check(path, folder)
    assert only.status == "fail"
    assert only.message.startswith("y (normal): ")
    assert "allowed" in only.message
    assert 0 < only.figures["tensors"]["y (normal)"]["out_of_tolerance"] <= 1
    assert only.figures["tensors"]["rows (normal)"]["out_of_tolerance"] == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("16] x", "16] image", "input x is missing; the model has image: renamed?"),
        ("(x, w)", "(x, w)", ""),
        ("rows)", "lines)", "output rows is missing; the model has lines: renamed?"),
        ("float[4,3] rows", "float[3,4] rows", "rows (normal): shape [3, 4] instead of [4, 3]: transposed?"),
        ("(float[N,8,16,16] x", "(float[N,8,32,32] x", "recorded with [3, 8, 16, 16]"),
        ("Tanh(c)", "Tanh(c) z = Exp(c)", "output z was not there"),
    ],
)
def test_changed_interfaces_are_one_clear_line(recorded: tuple[Path, Path], old: str, new: str, message: str) -> None:
    text = TEXT.replace(old, new).replace(
        "Conv<pads=[1,1,1,1]>(x", "Conv<pads=[1,1,1,1]>(image" if "image" in new else "Conv<pads=[1,1,1,1]>(x"
    )
    text = text.replace("rows = G", "lines = G") if "lines" in new else text
    text = (
        text.replace("rows = Gather(table, ids)", "r = Gather(table, ids) rows = Transpose(r)")
        if "[3,4]" in new
        else text
    )
    text = text.replace("rows) {", "rows, float[N,8,16,16] z) {") if "Exp" in new else text
    text = text.replace("float[N,8,16,16] y", "float[N,8,32,32] y") if "32" in new else text
    build(recorded[0], text)
    checks = check(*recorded)
    assert [c.status for c in checks] == ["fail" if message else "pass"]
    assert message in checks[0].message


def test_a_constant_output_may_be_an_initializer(tmp_path: Path) -> None:
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    model = build(path, "m (float[2] x) => (float[2] y, float[10,3] table) { y = Neg(x) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones((10, 3), np.float32), "table"))
    onnx.save(model, path)
    record(path, model, folder)
    assert check(path, folder)[0].status == "pass"


def test_inputs_from_a_file_are_stored_with_their_types(tmp_path: Path) -> None:
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    model = build(path)
    inputs = {"x": np.linspace(-1, 1, 2048, dtype=np.float32).reshape(1, 8, 16, 16), "ids": np.array([1, 2, 3, 9])}
    record(path, model, folder, inputs=inputs)
    (found,) = golden.read_index(folder)
    again = make_inputs(found.cases[0], golden.read_data(found))
    assert all(np.array_equal(again[name], inputs[name]) for name in inputs)
    assert check(path, folder)[0].status == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "m (bfloat16[5] h, bool[5] b) => (float[5] f, bool[5] n) { f = Cast<to=1>(h) n = Not(b) }",
        "m (string[2] s, uint8[3] u) => (string[2] t, uint8[3] v) { t = Identity(s) v = Add(u, u) }",
    ],
)
def test_half_bool_and_string_inputs_survive(tmp_path: Path, text: str) -> None:
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    model = build(path, text)
    inputs = draw_inputs(model)
    record(path, model, folder)
    assert check(path, folder)[0].status == "pass"
    record(path, model, folder, inputs=inputs)
    (only,) = check(path, folder)
    assert only.status == "pass", only.message


def test_recording_again_replaces_and_other_models_stay(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    path, folder = recorded
    other = tmp_path / "sub" / "other.onnx"
    other.parent.mkdir()
    record(other, build(other), folder)
    changed = build(path, w=weight() * 2)
    assert check(path, folder)[0].status == "fail"
    record(path, changed, folder)
    assert check(path, folder)[0].status == "pass"
    assert len(golden.read_index(folder)) == 2
    assert sorted(p.suffix for p in folder.iterdir()) == [".json", ".npz", ".npz"]


def test_sam2_goldens_match_by_metadata_only(tmp_path: Path) -> None:
    metadata = dict.fromkeys(golden.IDENTITY, "1") | {"spec": "none", "semantics": "sam2"}
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    model = build(path)
    write_metadata(model, metadata)
    record(path, model, folder)
    assert find_golden(Path("elsewhere/renamed.onnx"), model, [folder]) is not None
    write_metadata(model, metadata | {"semantics": "masktracker"})
    assert find_golden(path, model, [folder]) is None
    del model.metadata_props[:]
    assert find_golden(path, model, [folder]) is None


def test_reference_outputs_are_recorded(tmp_path: Path) -> None:
    path, folder = tmp_path / "net.onnx", tmp_path / "golden"
    model = build(path, "m (float[6] x) => (float[6] y) { y = Neg(x) }")

    def reference(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": -inputs["x"] * np.float32(1 + 1e-4)}

    made = record(path, model, folder, reference=reference, made_by={"outputs": "a formula"}).golden
    tolerance = made.cases[0].outputs[0].tolerance
    assert made.made_by["outputs"] == "a formula"
    assert tolerance is not None
    assert tolerance["noise"]["rms_rel"] == pytest.approx(1e-4, rel=0.01)
    assert "among 1 thread, a second run" in tolerance["reason"]


def test_a_model_that_differs_every_time_cannot_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    text = "m (float[6] x) => (float[6] y) { r = RandomUniformLike(x) y = Sub(r, x) }"
    with pytest.raises(SurgeonError, match="does not come out the same"):
        record(path, build(path, text), tmp_path / "golden")
    assert not (tmp_path / "golden").exists()


def test_nudge_moves_fractions_by_one_step_and_leaves_labels() -> None:
    given = {"a": np.array([1.0, -1.0, 0.5, 0.3], np.float32), "i": np.array([3])}
    moved = nudge(given)
    assert moved["a"][:2].tolist() == [1.0, -1.0]
    assert (np.abs(moved["a"][2:] - given["a"][2:]) > 0).all()
    assert np.allclose(moved["a"], given["a"], rtol=1e-6)
    assert moved["i"] is given["i"]


def test_folders_given_must_hold_an_index(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="record goldens with"):
        folders([tmp_path])


HOSTILE = {
    "not json": b"{",
    "not an index": b"[]",
    "newer format": b'{"format": 99, "goldens": []}',
    "deep": b"[" * 100_000,
    "path": b'{"format": 1, "goldens": [{"id": "a", "match": {}, "made_by": {}, "data": "../../x.npz", "cases": []}]}',
    "binary": b"\x80\x81",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_index_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "index.json").write_bytes(HOSTILE[name])
    with pytest.raises(SurgeonError, match=r"index\.json"):
        golden.read_index(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [1 << 40, 1 << 40]),
        ("shape", [-1]),
        ("shape", "abc"),
        ("tolerance", {"max_rel": "much"}),
        ("surprise", 1),
    ],
)
def test_hostile_tensors_in_the_index_are_one_line(recorded: tuple[Path, Path], field: str, value: Any) -> None:
    index = json.loads((recorded[1] / "index.json").read_text())
    index["goldens"][0]["cases"][0]["outputs"][0][field] = value
    (recorded[1] / "index.json").write_text(json.dumps(index))
    with pytest.raises(SurgeonError, match="not a golden index"):
        check(*recorded)


@pytest.mark.parametrize("kind", ["pickle", "bomb", "cut", "missing", "other", "misshapen"])
def test_hostile_data_is_one_line(recorded: tuple[Path, Path], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (data,) = recorded[1].glob("*.npz")
    with np.load(data) as stored:
        arrays = dict(stored)
    if kind == "pickle":
        np.savez(data, **{key: np.array([object()]) for key in arrays})
    elif kind == "bomb":
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("c0o0.whole.npy", bytes(300 << 20))
    elif kind == "cut":
        data.write_bytes(data.read_bytes()[:-200])
    elif kind == "missing":
        data.unlink()
    elif kind == "other":
        np.savez(data, unrelated=np.zeros(3))
    else:
        np.savez(data, **{key: array.reshape(-1)[:2] for key, array in arrays.items()})
    with pytest.raises(SurgeonError):
        check(*recorded)


def test_drawn_inputs_that_differ_are_noticed(recorded: tuple[Path, Path]) -> None:
    path = recorded[1] / "index.json"
    path.write_text(path.read_text().replace('"1/normal/x"', '"2/normal/x"'))
    with pytest.raises(SurgeonError, match="cannot be made again"):
        check(*recorded)
