"""Running only the changed nodes twice shows what running the whole fixed model would show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

import surgery
from surgery import steps
from surgery.guard import prove
from surgery.guard.changed_nodes import ChangedNodes, find_changed_nodes
from surgery.guard.partial_run import PartialRun
from surgery.guard.reference import Reference, run_original
from surgery.passes import all_passes
from tests.surgery.guard.test_guard import liar
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
WEIGHTS = 5 << 18  # floats: 5 MB, enough for a partial run


def changed(*swaps: tuple[str, str]) -> str:
    text = ORIGINAL
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


def partial_run(fixed: str, original: str = ORIGINAL, exact: bool = True) -> PartialRun | None:
    old, new = parser.parse_model(original), parser.parse_model(fixed)
    found = find_changed_nodes(old, new, {}, {})
    return None if found is None else PartialRun(found, old, new, FLOATS, exact)


def run(partial: PartialRun | None, original: str, given: Any) -> Reference:
    assert partial is not None
    model = parser.parse_model(original)
    return run_original(model, model, given=given, partial=partial)


def trouble(fixed: str, original: str = ORIGINAL, given: Any = None, exact: bool = True) -> str:
    """What the changed nodes show when they run beside the original."""
    found = run(partial_run(fixed, original, exact), original, given)
    assert found.sets, found.reason
    assert found.sets[0][1].keys() == {"y"}
    assert found.agreement is not None
    return found.agreement.trouble


def changed_nodes(fixed: str, original: str = ORIGINAL) -> ChangedNodes:
    partial = partial_run(fixed, original)
    assert partial is not None
    return partial.changed


def test_a_node_less_leaves_the_node_behind_it() -> None:
    found = changed_nodes(changed(("i = Identity(c)", ""), ("Sqrt(i)", "Sqrt(c)")))
    assert [node.op_type for node in found.nodes] == ["Sqrt"]
    assert (len(found.kept), found.inputs, found.outputs) == (4, {"c": "c"}, {"y": "y"})
    assert trouble(changed(("i = Identity(c)", ""), ("Sqrt(i)", "Sqrt(c)"))) == ""


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
        assert where in trouble(changed((old, new)), given=x)
    else:  # a circle: the changed nodes do not run, so that nothing shows the fixed model to be right
        found = run(partial_run(changed((old, new))), ORIGINAL, x)
        assert found.sets
        assert found.agreement is None or found.agreement.trouble


@pytest.mark.parametrize("shape", ["{0, 4}", "{-1, 4}", "{0, -1}"])
def test_a_constant_shape_may_be_written_in_any_way(shape: str) -> None:
    fixed = changed(("b = Reshape(a, s)", f"t = Constant<value = int64[2] {shape}>() b = Reshape(a, t)"))
    found = changed_nodes(fixed)
    assert (found.nodes, len(found.kept), len(found.reshapes)) == ([], 6, 1)
    assert trouble(fixed) == ""


def test_a_constant_is_compared_with_what_it_stands_for() -> None:
    original = f"{HEAD} {{ k = Constant<value = float[4] {{1.0, 2.0, 3.0, 4.0}}>() c = Neg(k) y = Add(x, c) }}"
    right = f"{HEAD} {{ c = Constant<value = float[4] {{-1.0, -2.0, -3.0, -4.0}}>() y = Add(x, c) }}"
    assert list(changed_nodes(right, original).constants) == ["c"]
    assert trouble(right, original) == ""
    assert "'c' differs" in trouble(right.replace("-3.0", "-3.5"), original)


def test_an_output_that_is_a_weight_in_both_is_not_compared() -> None:
    head = HEAD.replace(" y)", " y, float[2] k)")
    original = f"{head} <float[2] k = {{1, 2}}> {{ a = Identity(x) y = Neg(a) }}"
    right = f"{head} {{ k = Constant<value = float[2] {{1.0, 2.0}}>() y = Neg(x) }}"
    assert changed_nodes(right, original).constants == {}
    assert partial_run(right.replace("2.0", "2.5"), original) is None
    made = f"{head} <float[2] h = {{0.5, 1}}> {{ k = Add(h, h) y = Neg(x) }}"
    assert list(changed_nodes(right, made).constants) == ["k"]


def test_a_long_node_may_read_an_equal_tensor() -> None:
    original = f"""{HEAD} <float[4, 4] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}> {{
      a = Neg(x) b = Neg(x) p = MatMul(a, w) q = MatMul(b, w) y = Add(p, q) }}"""
    fixed = original.replace("b = Neg(x)", "").replace("MatMul(b, w)", "MatMul(a, w)")
    found = changed_nodes(fixed, original)
    assert (trouble(fixed, original), found.equal, found.nodes) == ("", {("a", "b")}, [])
    assert "differs" in trouble(fixed, original.replace("b = Neg(x)", "b = Abs(x)"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e-30, 1e25])
def test_values_at_the_edge_are_equal_or_left_to_the_whole(value: float) -> None:
    x = {"x": np.asarray([[1, value, 2, 3]], np.float32)}
    original = f"{HEAD} {{ a = Identity(x) y = Neg(a) }}"
    fixed = f"{HEAD} {{ y = Neg(x) }}"
    assert trouble(fixed, original, x) == ("" if not np.isnan(value) else "'y' has a NaN")
    if not np.isnan(value):
        assert trouble(fixed.replace("Neg(x)", "Ceil(x)"), original, x)


def test_a_nan_in_the_middle_is_seen() -> None:
    """onnxruntime's ReduceMax forgets it."""
    x = {"x": np.asarray([[1, 2, -3, 4]], np.float32)}
    original = f"{HEAD} {{ a = Abs(x) b = Identity(a) y = Sqrt(b) }}"
    assert "NaN" in trouble(f"{HEAD} {{ y = Sqrt(x) }}", original, x)


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
def test_other_names_are_left_to_the_whole_run(fixed: str) -> None:
    assert partial_run(fixed) is None


def test_another_meaning_of_an_operator_is_no_same_node() -> None:
    old = f"{HEAD.replace('17', '12')} {{ a = Identity(x) y = Softmax<axis = 1>(a) }}"
    new = f"{HEAD.replace('17', '13')} {{ a = Identity(x) y = Softmax<axis = 1>(a) }}"
    assert partial_run(new, old) is None  # Softmax changed in 13, and cannot stand in a model of 12
    same = f"{HEAD.replace('17', '16')} {{ a = Identity(x) y = Sqrt(a) }}"
    assert changed_nodes(f"{HEAD} {{ a = Identity(x) y = Sqrt(a) }}", same).kept.keys() == {"a", "y"}


def weighty(tmp_path: Path) -> Path:
    """A file large enough to run only its changed nodes twice, with a redundant node."""
    model = parser.parse_model(f"{HEAD} {{ a = Identity(x) b = Add(a, z) y = Sqrt(b) }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 4), 0.5, "f"), "z"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(WEIGHTS, dtype="f"), "ballast"))
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=1))
    model.graph.output.append(onnx.helper.make_tensor_value_info("most", onnx.TensorProto.FLOAT, [1]))
    source = tmp_path / "weighty.onnx"
    onnx.save(model, source)
    assert source.stat().st_size > prove.WORTH_PARTIAL[0]
    return source


def parity(report: Any) -> Check:
    checks: list[Check] = report.checks
    return next(check for check in checks if check.name == "parity")


def test_of_a_weighty_model_only_changed_tensors_are_compared(tmp_path: Path) -> None:
    check = parity(surgery.fix(weighty(tmp_path), tmp_path / "fixed.onnx"))
    assert check.status == "pass"
    assert "in all 2 tensors that changed (1 node is unchanged)" in check.message
    assert len(onnx.load(tmp_path / "fixed.onnx").graph.node) < 4


def test_a_wrong_pass_is_caught_in_a_weighty_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (*all_passes(), liar("Abs"))
    monkeypatch.setattr(steps, "all_passes", lambda given: rules)
    source = weighty(tmp_path)
    report = surgery.fix(source, tmp_path / "fixed.onnx")
    assert any(check.message.startswith("SG999 (liar) was left out: with it output 'y'") for check in report.checks)
    assert "Sqrt" in {node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node}


def test_without_changed_nodes_the_whole_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "find_changed_nodes", lambda *_: None)
    check = parity(surgery.fix(weighty(tmp_path), tmp_path / "fixed.onnx"))
    assert (check.status, "changed" in check.message) == ("pass", False)


def test_inputs_with_a_value_of_their_own_are_left_to_the_whole(tmp_path: Path) -> None:
    source = weighty(tmp_path)
    model = onnx.load(source)
    model.graph.input.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 4]))
    onnx.save(model, source)
    given = {"x": np.ones((2, 4), "f"), "z": np.full((1, 4), 2, "f")}
    check = parity(surgery.fix(source, tmp_path / "fixed.onnx", check_inputs=given))
    assert (check.status, "changed" in check.message) == ("pass", False)
