"""A rewrite needs operators that the model's opset may not have: the opset is raised, or the place stays as it is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import surgery
from surgery.graph.schemas import first_opset, misfit
from tests.surgery.passes.comparing import operators, parse, run

FLOAT, UINT8, INT32 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT32
QUANTIZED = """g (float[4] x) => (float[4] y) <float s = {0.1}, uint8 z = {3}>
{ a = QuantizeLinear(x, s, z)  b = DequantizeLinear(a, s, z)  %s }"""
BYTES = "g (int32[4] x) => (float[4] y) { a = Cast<to = 2>(x)  b = Cast<to = 1>(a)  %s }"


@pytest.mark.parametrize(
    ("op", "version", "kinds", "attributes", "first"),
    [
        ("Round", 10, [FLOAT], [], 11),
        ("Mod", 9, [INT32, INT32], [], 10),
        ("MatMul", 25, [UINT8, UINT8], [], 0),
        ("Add", 13, [UINT8, UINT8], [], 14),
        ("Add", 17, [FLOAT, INT32], [], 0),
        ("Clip", 10, [FLOAT, FLOAT, FLOAT], [], 11),
        ("Reshape", 13, [FLOAT, onnx.TensorProto.INT64], ["allowzero"], 14),
        ("Upsample", 10, [FLOAT, FLOAT], [], 9),
    ],
)
def test_what_an_opset_does_not_have(
    op: str, version: int, kinds: list[int], attributes: list[str], first: int
) -> None:
    assert misfit(op, "", version, kinds, attributes, 1)
    assert first_opset(op, "", kinds, attributes, 1) == first
    assert not first or misfit(op, "", first, kinds, attributes, 1) == ""


def test_other_domains_are_not_judged() -> None:
    assert misfit("Anything", "own", 1, [FLOAT], ["a"], 1) == ""


@pytest.mark.parametrize(("text", "opset"), [(QUANTIZED, 10), (BYTES, 8)], ids=["Round", "Where"])
def test_the_opset_is_raised_where_that_changes_nothing_else(text: str, opset: int) -> None:
    model = parse(text % "y = Relu(b)", opset)
    fixed, report = surgery.fix_model(model, guard=False)
    assert fixed.opset_import[0].version == 13
    assert any("opset" in check.message for check in report.checks)
    assert not operators(fixed) & {"QuantizeLinear", "DequantizeLinear"}
    x = np.array([-3, 0, 7, 300]).astype(np.float32 if text is QUANTIZED else np.int32)
    assert np.array_equal(run(fixed, {"x": x})[0], run(model, {"x": x})[0])


@pytest.mark.parametrize(
    ("text", "opset", "tail"),
    [(QUANTIZED, 10, "y = Softmax(n)"), (BYTES, 8, "y = Upsample<scales = [2.0]>(n)")],
    ids=["Round", "Where"],
)
def test_the_place_stays_where_the_opset_cannot_be_raised(text: str, opset: int, tail: str) -> None:
    model = parse(text.replace("=> (float[4] y)", "=> (float[n] y)") % f"i = Identity(b)  n = Neg(i)  {tail}", opset)
    fixed, report = surgery.fix_model(model, guard=False)
    assert fixed is not model
    assert fixed.opset_import[0].version == opset
    assert any("as it is" in check.message and "opset" in check.message for check in report.checks)
    onnx.checker.check_model(fixed, full_check=True)
    again, _ = surgery.fix_model(fixed, guard=False)
    assert again is fixed


def test_the_opset_is_raised_when_a_pass_has_taken_out_what_stood_against_it() -> None:
    model = parse(BYTES % "n = Neg(b)  y = Slice<starts = [0], ends = [4], axes = [0]>(n)", 8)
    fixed, _ = surgery.fix_model(model, guard=False)
    assert fixed.opset_import[0].version == 13
    again, _ = surgery.fix_model(fixed, guard=False)
    assert again is fixed
