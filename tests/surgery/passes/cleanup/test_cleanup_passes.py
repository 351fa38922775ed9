"""Each clean-up pass by itself, on the models of `cleanup_cases`: what it does and what it leaves alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
from surgery.passes import all_passes
from tests.surgery.passes.cleanup.cleanup_cases import CASES, model

IDS = [f"{code} {case}" for code, case, _, _ in CASES]


@pytest.mark.parametrize(("code", "text", "left"), [(c, text, left) for c, _, text, left in CASES], ids=IDS)
def test_pass_alone(code: str, text: str, left: list[str]) -> None:
    fixed, report = surgery.fix_model(model(text), select=(code, "SG002"))
    assert [node.op_type for node in fixed.graph.node] == left
    parity = next(check for check in report.checks if check.name == "parity")
    assert parity.status in ("pass", "skip")
    if parity.status == "skip":
        assert code in ("SG015", "SG017") or "random" in parity.message
    onnx.checker.check_model(fixed)


def test_every_cleanup_pass_has_a_case() -> None:
    tested = {code for code, _, _, _ in CASES} | {"SG003", "SG301"}
    assert {rule.code for rule in all_passes() if rule.code < "SG100"} <= tested


def test_unused_initializers_go() -> None:
    text = "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}, uint16[1] old = {7}> { y = Add(x, w) }"
    fixed, _ = surgery.fix_model(model(text), select=("SG003",))
    assert [tensor.name for tensor in fixed.graph.initializer] == ["w"]


def test_nodes_made_by_a_pass_say_so() -> None:
    text = "g (float[2] x) => (float[2] y) <float[2] a = {1,2}> { [old] y = Neg(a) }"
    fixed, _ = surgery.fix_model(model(text), select=("SG005",))
    props = {prop.key: prop.value for prop in fixed.graph.node[0].metadata_props}
    assert props == {"surgeon.pass": "SG005", "surgeon.replaces": "old"}


def test_skipped_nodes_stay() -> None:
    text = "g (float[2] x) => (float[2] y) { [keep] a = Identity(x) [drop] b = Identity(a) [r] y = Relu(b) }"
    fixed, _ = surgery.fix_model(model(text), skip_nodes=frozenset({"keep"}))
    assert [node.name for node in fixed.graph.node] == ["keep", "r"]


def test_types_the_file_declares_follow_a_pass_that_changes_them() -> None:
    text = """g (float[N,4,3,2] x) => (float[N,2,2,6] y) <int64[3] s = {-1,4,6}, int64[4] t = {-1,2,2,6},
      float[6] b = {1,2,3,4,5,6}, float[N,4,6] r, float[N,4,6] p, float[N,4,6] a,
      float[N,2,2,6] z>
      { r = Reshape(x, s) p = Mul(r, b) q = MatMul(p, f) a = Add(q, b) z = Reshape(a, t)
        y = Transpose<perm = [0,2,1,3]>(z) }"""
    made = model(text)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(6, dtype=np.float32) * 2, "f"))
    fixed, report = surgery.fix_model(made)
    assert "SG019" in {finding.code for finding in report.findings}
    assert [node.op_type for node in fixed.graph.node] == ["Reshape", "Mul", "MatMul", "Add", "Transpose"]
    onnx.checker.check_model(fixed, full_check=True)
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in fixed.graph.value_info}
    assert set(ranks.values()) == {4}
