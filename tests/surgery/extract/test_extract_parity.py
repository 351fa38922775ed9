"""A part against the whole: which values are the same, which runs count, and what the part keeps of the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from surgery.extract import extract, parity
from tests.surgery.extract.test_extract import names, saved
from verify.errors import CheckFailed, SurgeonError
from verify.report import Check

HEAD18 = '<ir_version: 9, opset_import: ["" : 18]>'


def compared(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, run: dict[str, object]) -> Check:
    """What the part says against one run of the whole model that gave these values."""
    path = saved(folder, f"{HEAD18} {text}")
    monkeypatch.setattr("surgery.extract.run_whole", lambda *_, **__: parity.Whole("onnxruntime", [run]))
    return extract(path, folder / "part.onnx", ["x"], outputs=[name for name in run if name != "x"]).checks[-1]


@pytest.mark.parametrize("expected", [np.float32([1, 2.0000002]), np.float32([1])], ids=["rounding", "shape"])
def test_single_precision_has_no_tolerance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: np.ndarray
) -> None:
    run = {"x": np.float32([1, 2]), "y": expected}
    with pytest.raises(CheckFailed, match="'y' differs from the whole on set 1: the values are not the same"):
        compared(tmp_path, monkeypatch, "g (float[2] x) => (float[2] y) { y = Relu(x) }", run)


def test_zero_of_the_other_sign_is_another_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = {"x": np.float32([0, 2]), "y": np.float32([-0.0, 2])}
    with pytest.raises(CheckFailed, match="the values are not the same"):
        compared(tmp_path, monkeypatch, "g (float[2] x) => (float[2] y) { y = Relu(x) }", run)


TWO_HALVES = "g (float16[4] x) => (float16[4] y, float16[4] z) { y = Relu(x)  z = Identity(y) }"


def test_half_precision_may_differ_by_four_roundings_of_bfloat16_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 / 256 of the RMS of the whole, 1.56 %: here 1.44 % and 1.63 %."""
    ones = np.ones(4, np.float16)
    check = compared(tmp_path, monkeypatch, TWO_HALVES, {"x": ones, "y": ones + np.float16(15 / 1024), "z": ones})
    assert check.message.startswith("equal but for the rounding of half precision to the whole on 1 set of inputs (")
    assert check.figures["exact"] is False
    with pytest.raises(CheckFailed, match="'z' differs from the whole on set 1: "):
        compared(tmp_path, monkeypatch, TWO_HALVES, {"x": ones, "y": ones, "z": ones + np.float16(17 / 1024)})


def test_a_sequence_is_compared_item_by_item_without_tolerance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "g (float16[2] x) => (seq(float16[2]) y) { a = Neg(x)  y = SequenceConstruct(x, a) }"
    x = np.float16([1, 2])
    assert compared(tmp_path, monkeypatch, text, {"x": x, "y": [x, -x]}).message.startswith("equal bit for bit")
    for wrong in ([x], [x, -x, x], [x, -x + np.float16(1 / 1024)]):
        with pytest.raises(CheckFailed, match="'y' differs from the whole on set 1: the values are not the same"):
            compared(tmp_path, monkeypatch, text, {"x": x, "y": wrong})


def test_strings_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "g (string[2] x) => (string[2] y) { y = Identity(x) }"
    words = np.array(["a", "b"], object)
    assert compared(tmp_path, monkeypatch, text, {"x": words, "y": words.copy()}).figures["exact"] is True
    with pytest.raises(CheckFailed, match="the values are not the same"):
        compared(tmp_path, monkeypatch, text, {"x": words, "y": np.array(["a", "c"], object)})


@pytest.mark.parametrize(("failing", "sets"), [(3, 3), (4, 2), (5, 1)])
def test_six_sets_of_inputs_are_tried_for_three_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, sets: int
) -> None:
    def drawn(_: object) -> Iterator[dict[str, object]]:
        for number in range(20):
            index = np.int64([9 if number < failing else 1])
            yield {"x": np.float32([1, 2]), "i": index}

    monkeypatch.setattr("surgery.extract.parity.input_sets", drawn)
    text = "g (float[2] x, int64[1] i) => (float[1] y) { a = Gather(x, i)  y = Neg(a) }"
    check = extract(saved(tmp_path, f"{HEAD18} {text}"), tmp_path / "part.onnx", ["a"]).checks[-1]
    assert (check.status, check.figures["sets"]) == ("pass", sets)


def test_a_model_that_runs_on_no_set_says_the_first_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [{"x": np.float32([1, 2]), "i": np.int64([index])} for index in (7, 8)]
    monkeypatch.setattr("surgery.extract.parity.input_sets", lambda _: iter(sets))
    text = "g (float[2] x, int64[1] i) => (float[1] y) { a = Gather(x, i)  y = Neg(a) }"
    check = extract(saved(tmp_path, f"{HEAD18} {text}"), tmp_path / "part.onnx", ["a"]).checks[-1]
    assert check.status == "skip"
    assert "idx=7" in check.message
    assert "idx=8" not in check.message


def test_part_keeps_version_producer_functions_and_types(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 18, "me" : 1], producer_name: "maker">
    g (float[N,3] x) => (float[N,3] y) <float[N,3] b, float[N,3] c> {
      a = me.double(x)  b = Relu(a)  c = me.double(b)  d = Neg(c)  y = Exp(d) }
    <domain: "me", opset_import: ["" : 18]> double (a) => (b) { b = Add(a, a) }"""
    report = extract(saved(tmp_path, text), tmp_path / "part.onnx", ["a"], ["d", "d", "c"])
    part = onnx.load(tmp_path / "part.onnx")
    assert (part.ir_version, part.producer_name, part.graph.name) == (9, "maker", "g")
    assert [(entry.domain, entry.version) for entry in part.opset_import] == [("", 18), ("me", 1)]
    assert names(part.functions) == ["double"]
    assert names(part.graph.output) == ["d", "c"]
    assert names(part.graph.value_info) == ["b"]
    assert report.checks[-1].status == "pass"


def test_a_tensor_that_nothing_makes_is_named(tmp_path: Path) -> None:
    text = f"{HEAD18} g (float[2] x) => (float[2] y) {{ a = Neg(x)  b = Add(a, gone)  y = Neg(b) }}"
    with pytest.raises(SurgeonError, match="a node reads 'gone', which nothing in the model makes"):
        extract(saved(tmp_path, text), tmp_path / "part.onnx", ["a"], ["b"])


def test_sparse_weights_go_with_the_nodes_that_read_them(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        f"{HEAD18} g (float[3] x) => (float[3] y) {{ a = Add(x, kept)  b = Neg(a)  y = Add(b, left) }}"
    )
    for name in ("kept", "left"):
        values, indices = numpy_helper.from_array(np.float32([7]), name), numpy_helper.from_array(np.int64([1]))
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))
    onnx.save(model, tmp_path / "m.onnx")
    extract(tmp_path / "m.onnx", tmp_path / "part.onnx", ["x"], ["a"])
    part = onnx.load(tmp_path / "part.onnx")
    assert [tensor.values.name for tensor in part.graph.sparse_initializer] == ["kept"]
    assert names(part.graph.input) == ["x"]


def test_summary_counts_nodes_and_names_the_ends(tmp_path: Path) -> None:
    text = f"{HEAD18} g (float[2] x) => (float[2] y) {{ k = Constant<value = float[2] {{1, 2}}>()  y = Add(x, k) }}"
    path = saved(tmp_path, text)
    report = extract(path, tmp_path / "part.onnx", (), ["k"])
    assert report.checks[0].message == f"1 of 2 nodes of {path}: from constants to k float32[2]"
    assert report.checks[0].figures == {"nodes": 1, "nodes_of_the_whole": 2, "inputs": [], "outputs": ["k"]}
    kept = extract(saved(tmp_path), tmp_path / "part.onnx", ["a"], ["d"]).checks[1]
    assert kept.message == "kept c, which the outputs need too and --inputs does not name"
