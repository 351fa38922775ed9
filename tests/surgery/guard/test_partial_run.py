"""Where a fixed model parts from its original: what is compared there tells what comparing the whole would tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

import surgery
from surgery.guard import prove, reference
from surgery.guard.changed_nodes import Parting, parting
from surgery.guard.partial_run import Parts
from surgery.passes import all_passes
from tests.surgery.guard.test_guard import liar
from verify.errors import CheckFailed
from verify.report import Check

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[n, 4] x) => (float[n, 4] y)'
ORIGINAL = f"""{HEAD} <float[4, 4] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}> {{
  s = Shape(x)
  a = MatMul(x, w)
  b = Reshape(a, s)
  c = Abs(b)
  i = Identity(c)
  y = Sqrt(i) }}"""
FLOATS = {name: np.dtype(np.float32) for name in "xabciy"}
WEIGHTS = 1 << 19  # floats: 2 MB, which is more than what is not worth a look


def changed(*swaps: tuple[str, str]) -> str:
    text = ORIGINAL
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


def parted(fixed: str, original: str = ORIGINAL, exact: bool = True) -> Parts | None:
    old, new = parser.parse_model(original), parser.parse_model(fixed)
    found = parting(old, new, {}, {})
    return None if found is None else Parts(found, old, new, FLOATS, exact)


def judged(fixed: str, original: str = ORIGINAL, given: Any = None, exact: bool = True) -> Parts:
    """The parts after the original ran with them."""
    parts = parted(fixed, original, exact)
    assert parts is not None
    model = parser.parse_model(original)
    found = reference.reference(model, model, given, parts=parts)
    assert found.sets, found.reason
    assert found.sets[0][1].keys() == {"y"}
    return parts


def found_in(fixed: str, original: str = ORIGINAL) -> Parting:
    parts = parted(fixed, original)
    assert parts is not None
    return parts.parting


def test_a_node_less_leaves_the_node_behind_it() -> None:
    found = found_in(changed(("i = Identity(c)", ""), ("Sqrt(i)", "Sqrt(c)")))
    assert [node.op_type for node in found.changed] == ["Sqrt"]
    assert (found.same, found.needs, found.made) == (4, {"c": "c"}, {"y": "y"})
    assert judged(changed(("i = Identity(c)", ""), ("Sqrt(i)", "Sqrt(c)"))).trouble == ""


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("Abs(b)", "Relu(b)", "'c' differs"),
        ("Sqrt(i)", "Sqrt(a)", "'y' has a NaN"),
        ("b = Reshape(a, s)", "t = Constant<value = int64[2] {4, -1}>() b = Reshape(a, t)", "'b' has another shape"),
        ("b = Reshape(a, s)", "t = Transpose(a) b = Reshape(t, s)", "'b' differs"),
        ("c = Abs(b)", "k = Constant<value = float {1.0}>() d = Abs(b) c = Add(d, k)", "'c' differs"),
        ("MatMul(x, w)", "MatMul(b, w)", ""),
    ],
)
def test_what_differs_is_found_where_it_begins(old: str, new: str, where: str) -> None:
    x = {"x": np.linspace(-2, 3, 12, dtype=np.float32).reshape(3, 4)}
    if where:
        assert where in judged(changed((old, new)), given=x).trouble
    else:  # a circle: nothing runs, and so nothing speaks for the fixed model
        parts = parted(changed((old, new)))
        model = parser.parse_model(ORIGINAL)
        assert parts is not None
        assert not reference.reference(model, model, x, parts=parts).sets or parts.trouble


@pytest.mark.parametrize("shape", ["{0, 4}", "{-1, 4}", "{0, -1}"])
def test_a_constant_shape_may_be_written_in_any_way(shape: str) -> None:
    fixed = changed(("b = Reshape(a, s)", f"t = Constant<value = int64[2] {shape}>() b = Reshape(a, t)"))
    found = found_in(fixed)
    assert (found.changed, found.same, len(found.reshaped)) == ([], 6, 1)
    assert judged(fixed).trouble == ""


def test_a_constant_is_compared_with_what_it_stands_for() -> None:
    original = f"{HEAD} {{ k = Constant<value = float[4] {{1.0, 2.0, 3.0, 4.0}}>() c = Neg(k) y = Add(x, c) }}"
    right = f"{HEAD} {{ c = Constant<value = float[4] {{-1.0, -2.0, -3.0, -4.0}}>() y = Add(x, c) }}"
    assert list(parted(right, original).parting.constants) == ["c"]  # type: ignore[union-attr]
    assert judged(right, original).trouble == ""
    assert "'c' differs" in judged(right.replace("-3.0", "-3.5"), original).trouble


def test_an_output_that_is_a_weight_in_both_is_no_part() -> None:
    head = HEAD.replace(" y)", " y, float[2] k)")
    original = f"{head} <float[2] k = {{1, 2}}> {{ a = Identity(x) y = Neg(a) }}"
    right = f"{head} {{ k = Constant<value = float[2] {{1.0, 2.0}}>() y = Neg(x) }}"
    assert found_in(right, original).constants == {}
    assert parted(right.replace("2.0", "2.5"), original) is None
    made = f"{head} <float[2] h = {{0.5, 1}}> {{ k = Add(h, h) y = Neg(x) }}"
    assert list(found_in(right, made).constants) == ["k"]


def test_a_long_node_may_read_an_equal_tensor() -> None:
    original = f"""{HEAD} <float[4, 4] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}> {{
      a = Neg(x) b = Neg(x) p = MatMul(a, w) q = MatMul(b, w) y = Add(p, q) }}"""
    fixed = original.replace("b = Neg(x)", "").replace("MatMul(b, w)", "MatMul(a, w)")
    parts = judged(fixed, original)
    assert (parts.trouble, parts.parting.equal, parts.parting.changed) == ("", {("a", "b")}, [])
    assert "differs" in judged(fixed, original.replace("b = Neg(x)", "b = Abs(x)")).trouble


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e-30, 1e25])
def test_values_at_the_edge_are_equal_or_left_to_the_whole(value: float) -> None:
    x = {"x": np.asarray([[1, value, 2, 3]], np.float32)}
    original = f"{HEAD} {{ a = Identity(x) y = Neg(a) }}"
    fixed = f"{HEAD} {{ y = Neg(x) }}"
    trouble = judged(fixed, original, x).trouble
    assert trouble == ("" if not np.isnan(value) else "'y' has a NaN")
    if not np.isnan(value):
        assert judged(fixed.replace("Neg(x)", "Ceil(x)"), original, x).trouble


def test_a_nan_in_the_middle_is_seen() -> None:
    """onnxruntime's ReduceMax forgets it."""
    x = {"x": np.asarray([[1, 2, -3, 4]], np.float32)}
    original = f"{HEAD} {{ a = Abs(x) b = Identity(a) y = Sqrt(b) }}"
    assert "NaN" in judged(f"{HEAD} {{ y = Sqrt(x) }}", original, x).trouble


IF = """c = If(t) <then_branch = h () => (float[n, 4] r) { r = Abs(b) },
  else_branch = l () => (float[n, 4] q) { q = Neg(b) }>"""
OTHER_NAMES = (
    ("c = Abs(b)", "d = Abs(b)"),
    ("Identity(c)", "Identity(d)"),
    ("y = Sqrt", "z = Sqrt"),
    ("4] y)", "4] z)"),
)


@pytest.mark.parametrize(
    "fixed",
    [changed(*OTHER_NAMES), changed(("c = Abs(b)", f"t = Constant<value = bool {{1}}>() {IF}"))],
    ids=["other outputs", "a graph in a changed node"],
)
def test_names_that_do_not_tell_are_left_to_the_whole(fixed: str) -> None:
    assert parted(fixed) is None


def test_another_meaning_of_an_operator_is_no_same_node() -> None:
    old = f"{HEAD.replace('17', '12')} {{ a = Identity(x) y = Softmax<axis = 1>(a) }}"
    new = f"{HEAD.replace('17', '13')} {{ a = Identity(x) y = Softmax<axis = 1>(a) }}"
    assert parted(new, old) is None  # Softmax changed in 13, and cannot stand in a model of 12
    same = f"{HEAD.replace('17', '16')} {{ a = Identity(x) y = Sqrt(a) }}"
    assert parted(f"{HEAD} {{ a = Identity(x) y = Sqrt(a) }}", same).parting.same == 2  # type: ignore[union-attr]


def weighty(tmp_path: Path) -> Path:
    """A file large enough for its parts to be worth a look, with a node too many."""
    model = parser.parse_model(f"{HEAD} {{ a = Identity(x) b = Add(a, z) y = Sqrt(b) }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 4), 0.5, "f"), "z"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(WEIGHTS, dtype="f"), "ballast"))
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=1))
    model.graph.output.append(onnx.helper.make_tensor_value_info("most", onnx.TensorProto.FLOAT, [1]))
    source = tmp_path / "weighty.onnx"
    onnx.save(model, source)
    assert source.stat().st_size > prove.WORTH_PARTS[0]
    return source


def parity(report: Any) -> Check:
    checks: list[Check] = report.checks
    return next(check for check in checks if check.name == "parity")


def test_a_weighty_model_is_compared_where_it_parts(tmp_path: Path) -> None:
    check = parity(surgery.fix(weighty(tmp_path), tmp_path / "fixed.onnx"))
    assert check.status == "pass"
    assert "where it parts from the original (1 node shared)" in check.message
    assert len(onnx.load(tmp_path / "fixed.onnx").graph.node) < 4


def test_a_wrong_pass_is_caught_in_a_weighty_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar("Abs"))
    monkeypatch.setattr(prove, "all_passes", lambda: rules)
    source = weighty(tmp_path)
    with pytest.raises(CheckFailed, match=r"output 'y'.*SG999 \(liar\)"):
        surgery.fix(source, tmp_path / "fixed.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["weighty.onnx"]


def test_where_parts_tell_nothing_the_whole_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "parting", lambda *_: None)
    check = parity(surgery.fix(weighty(tmp_path), tmp_path / "fixed.onnx"))
    assert (check.status, "parts" in check.message) == ("pass", False)


def test_inputs_with_a_value_of_their_own_are_left_to_the_whole(tmp_path: Path) -> None:
    source = weighty(tmp_path)
    model = onnx.load(source)
    model.graph.input.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 4]))
    onnx.save(model, source)
    given = {"x": np.ones((2, 4), "f"), "z": np.full((1, 4), 2, "f")}
    check = parity(surgery.fix(source, tmp_path / "fixed.onnx", check_inputs=given))
    assert (check.status, "parts" in check.message) == ("pass", False)
