"""The first tensor where two runs part: by name, by provenance, in small batches, under another precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from verify.compare.divergence import as_check, diverge, way
from verify.compare.divergence_graph import pairs, rounded
from verify.compare.statistics import Limits
from verify.errors import SurgeonError

MODEL = """
<ir_version: 10, opset_import: ["" : 20]>
chain (float[4] x) => (float[4] y, float[4] z) <float[4] w = {1, 2, 3, 4}> {
  [start] a = Add(x, w)
  [middle] b = Mul(a, w)
  [side] z = Neg(a)
  [end] c = Relu(b)
  y = Sub(c, x)
}
"""
LIMITS = Limits(rms_rel=1e-4)
INPUTS = {"x": np.array([1, 2, 3, 4], np.float32)}


def save(path: Path, text: str) -> Path:
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def compare(tmp_path: Path, one: str, other: str, **options: Any) -> Any:
    first, second = way(save(tmp_path / "a.onnx", one)), way(save(tmp_path / "b.onnx", other))
    found = diverge(first, second, INPUTS, LIMITS, **options)
    return found, as_check(found, first, second)


def test_equal_models_agree_in_every_tensor(tmp_path: Path) -> None:
    found, check = compare(tmp_path, MODEL, MODEL)
    assert (found.compared, found.first, check.status) == (5, None, "pass")
    assert check.message.endswith("agree in every bit")


def test_agreement_says_how_close_it_is_and_where_it_begins_to_differ(tmp_path: Path) -> None:
    near = MODEL.replace("{1, 2, 3, 4}", "{1, 2, 3, 4.00001}")
    _, check = compare(tmp_path, MODEL, near)
    assert check.status == "pass"
    assert "agree; largest error / RMS " in check.message
    assert "the first that differs in any bit is 'a', made by Add 'start'" in check.message


def test_the_node_inside_a_branch_is_named(tmp_path: Path) -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 20]>
    g (float[4] x, bool c) => (float[4] y) {
      [choose] y = If(c) <then_branch = t () => (float[4] a) { [first] s = Exp(x)  [second] a = Add(s, x) },
        else_branch = e () => (float[4] b) { b = Neg(x) }>
    }
    """
    first = way(save(tmp_path / "a.onnx", text))
    second = way(save(tmp_path / "b.onnx", text.replace("Add(s, x)", "Sub(s, x)")))
    found = diverge(first, second, {**INPUTS, "c": np.asarray(True)}, LIMITS)
    message = as_check(found, first, second).message
    assert "made by If 'choose', of which the first difference inside is Add 'second' in then_branch" in message


@pytest.mark.parametrize("batch_bytes", [1, 40, 1 << 20])
def test_first_parting_tensor_with_what_stands_before_and_after(tmp_path: Path, batch_bytes: int) -> None:
    found, check = compare(tmp_path, MODEL, MODEL.replace("Mul(a, w)", "Div(a, w)"), batch_bytes=batch_bytes)
    assert (found.first.pair.name, found.first.pair.node, found.first.pair.op) == ("b", "middle", "Mul")
    assert [step.pair.name for step in found.before] == ["a"]
    assert found.before[0].statistics["max_abs"] == 0.0
    assert [step.pair.name for step in found.after] == ["c"]
    assert found.after[0].wrong
    assert check.status == "fail"
    assert "'b', made by Mul 'middle'" in check.message
    assert set(check.figures["tensors"]) == {"a", "b", "c"}
    assert "histogram" in check.figures["tensors"]["b"]


def test_tensors_surgery_renamed_are_matched_by_provenance(tmp_path: Path) -> None:
    other = onnx.parser.parse_model(MODEL.replace("b = Mul(a, w)", "new = Div(a, w)").replace("Relu(b)", "Relu(new)"))
    for node in other.graph.node:
        if "new" in node.output:
            node.name = "made"
            node.metadata_props.add(key="surgeon.replaces", value="middle")
    onnx.save(other, tmp_path / "b.onnx")
    first, second = way(save(tmp_path / "a.onnx", MODEL)), way(tmp_path / "b.onnx")
    found = diverge(first, second, INPUTS, LIMITS)
    assert found.first is not None
    assert (found.first.pair.name, found.first.pair.other, found.first.pair.by) == ("b", "new", "provenance")
    assert "by provenance" in as_check(found, first, second).message


def test_nothing_in_common_is_skipped_not_passed(tmp_path: Path) -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> other (float[4] x) => (float[4] q) { q = Neg(x) }'
    found, check = compare(tmp_path, MODEL, text)
    assert found.compared == 0
    assert check.status == "skip"


def test_half_precision_is_rounded_after_every_node(tmp_path: Path) -> None:
    text = MODEL.replace("{1, 2, 3, 4}", "{70000, 2, 3, 4}")
    path = save(tmp_path / "m.onnx", text)
    found = diverge(way(path), way(path, "float16"), INPUTS, LIMITS)
    assert found.first is not None
    assert found.first.pair.name == "a"
    assert any("infinite" in words for words in found.first.wrong)
    loose = diverge(way(path), way(path, "bfloat16"), INPUTS, Limits(rms_rel=0.02))
    assert loose.first is None


def test_rounded_model_is_valid_and_keeps_its_interface() -> None:
    model = onnx.parser.parse_model(MODEL)
    half = rounded(model, "float16")
    onnx.checker.check_model(half, full_check=True)
    assert [value.name for value in half.graph.output] == ["y", "z"]
    assert [value.name for value in half.graph.input] == ["x"]


def test_tensors_read_only_inside_a_body_are_kept(tmp_path: Path) -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 20]>
    branch (float[4] x, bool c) => (float[4] y) {
      a = Neg(x)
      y = If(c) <then_branch = t () => (float[4] u) { u = Relu(a) }, else_branch = e () => (float[4] v) { v = Abs(a) }>
    }
    """
    path = save(tmp_path / "m.onnx", text)
    found = diverge(way(path), way(path, "optimized"), {**INPUTS, "c": np.array(True)}, LIMITS)
    assert found.compared == 2


def test_pairs_leave_constants_out() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> g (float[1] x) => (float[1] y) { k = Constant<value_float = 1.0>()'
        " y = Add(x, k) }"
    )
    assert [pair.name for pair in pairs(model, model)] == ["y"]


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", MODEL)
    with pytest.raises(SurgeonError, match="'float12' is neither a file nor a way to run one; use "):
        way(path, "float12")
    with pytest.raises(SurgeonError, match="no such file"):
        way(tmp_path / "none.onnx")
    with pytest.raises(SurgeonError, match="cannot be run"):
        diverge(way(path), way(path), {"x": np.zeros(3, np.float32)}, LIMITS)
