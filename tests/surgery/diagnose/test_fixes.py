"""diagnose: whether `surgeon fix` mends a refusal is found out by running the passes and asking the judge again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from surgery.diagnose import Settings, diagnose
from verify.report import Report
from verify.tensorrt import engine

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")

CONSTANT_NODE = """
<ir_version: 9, opset_import: ["" : 18]>
g (int32[N] x) => (int32[N] y, int64[a,b] q) {
  k0 = Constant<value = int64 {3}>()  k = Cast<to = 6>(k0)  [and] b = BitwiseAnd(x, k)  y = Identity(b)
  [nonzero] q = NonZero(x)
}
"""
TWO_SCATTERS = """
<ir_version: 8, opset_import: ["" : 16]>
g (float[6,4] e, int64[6] idx) => (float[5,4] y, float[5,4] z)
  <int64[2] shape = {5, 4}, int64[1] axis = {1}> {
  u = Unsqueeze(idx, axis)  s = Shape(e)  i = Expand(u, s)  zeros = ConstantOfShape(shape)
  [add] y = ScatterElements<axis = 0, reduction = "add">(zeros, i, e)
  [mul] z = ScatterElements<axis = 0, reduction = "mul">(zeros, i, e)
}
"""
UINT8_MOVES = """
<ir_version: 8, opset_import: ["" : 17]>
g (uint8[1,4,4,3] image) => (float[1,3,4,4] y) {
  [move] t = Transpose<perm = [0, 3, 1, 2]>(image)  y = Cast<to = 1>(t)
}
"""
QUANTIZED = """
<ir_version: 8, opset_import: ["" : 13]>
g (float[2,3] x) => (float[2,4] y)
  <float s = {0.1}, uint8 z = {7}, int32[4] bias = {1, 2, 3, 4}, float bs = {0.01}, int32 bz = {0},
   float[3,4] w = {1,2,3,4,5,6,7,8,9,10,11,12}> {
  [quantize] q = QuantizeLinear(x, s, z)
  [dequantize] d = DequantizeLinear(q, s, z)
  [bias] b = DequantizeLinear(bias, bs, bz)
  m = MatMul(d, w)  y = Add(m, b)
}
"""
IF_RANK = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[3] x, bool flag) => (float[A,B] y) <float one = {1}> {
  [choice] q = If(flag) <
    then_branch = t () => (float[1,3] u) { a = Constant<value_ints = [0]>()  u = Unsqueeze(x, a) },
    else_branch = e () => (float[3] w) { w = Identity(x) }>
  [sum] y = Add(q, one)
}
"""
IMPOSSIBLE_BRANCH = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,C,H] x) => (float y) <int64[1] one = {1}, int64[1] ax = {1}> {
  d = Shape<start = 1, end = 2>(x)  eq = Equal(d, one)  c = Squeeze(eq)
  [choice] q = If(c) <
    then_branch = t () => (float[N,H] u) { u = Squeeze(x, ax) },
    else_branch = e () => (float[N,C,H] w) { w = Identity(x) }>
  y = ReduceSum<keepdims = 0>(q)
}
"""


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Report]:
    def diagnosed(model: str, **settings: object) -> Report:
        path = tmp_path / "model.onnx"
        onnx.save(onnx.parser.parse_model(model), path)
        return diagnose(path, Settings(**settings))  # type: ignore[arg-type]

    return diagnosed


def fixable(report: Report) -> dict[str, bool]:
    return {found.node: found.details["fixable"] for found in report.findings if found.severity == "error"}


@needs_tensorrt
def test_a_refusal_beside_one_that_stays_is_judged_by_itself(look: Callable[..., Report]) -> None:
    assert fixable(look(CONSTANT_NODE)) == {"and": True, "nonzero": False}


@needs_tensorrt
def test_two_refusals_without_a_place_get_their_nodes_and_are_fixable(look: Callable[..., Report]) -> None:
    """The parser names no node, and the model without the first is refused in the same words for the second."""
    assert fixable(look(TWO_SCATTERS)) == {"add": True, "mul": True}


@needs_tensorrt
def test_every_place_of_a_quantized_model_is_fixable(look: Callable[..., Report]) -> None:
    assert fixable(look(QUANTIZED)) == {"quantize": True, "dequantize": True, "bias": True}


@needs_tensorrt
def test_moved_uint8_is_fixable(look: Callable[..., Report]) -> None:
    assert fixable(look(UINT8_MOVES)) == {"move": True}


def test_without_tensorrt_the_table_judges_the_fixed_model(
    look: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "available", lambda: False)
    assert fixable(look(CONSTANT_NODE)) == {"and": True, "nonzero": False}


@needs_tensorrt
def test_no_refusal_is_invented_behind_a_node_of_unknown_rank(look: Callable[..., Report]) -> None:
    """The If gives a rank that depends on the branch; what reads it is not refused for the type of the condition."""
    report = look(IF_RANK)
    assert [(f.node, f.code) for f in report.findings if f.severity == "error"] == [("choice", "SG807")]
    assert "BOOL" not in str([f.details for f in report.findings])


@needs_tensorrt
def test_a_branch_that_these_sizes_never_take_is_named_as_the_cause(look: Callable[..., Report]) -> None:
    report = look(IMPOSSIBLE_BRANCH, profiles={"x": [[2, 3, 5]] * 3})
    assert [(f.node, f.code) for f in report.findings if f.severity == "error"] == [("choice", "SG845")]


@needs_tensorrt
def test_a_build_at_guessed_sizes_is_no_pass(look: Callable[..., Report]) -> None:
    report = look(IMPOSSIBLE_BRANCH)
    builder = next(check for check in report.checks if check.name == "tensorrt-builder")
    assert builder.status == "skip"
    assert "--input-shape" in builder.message
