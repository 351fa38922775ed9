"""Products of eight-bit numbers are counted, and the report of `fix` says how many were kept."""

from __future__ import annotations

import onnx

import surgery
from verify.model.eight_bits import eight_bit_products

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
BOTH = """g (int8[2,4] a, int8[4,3] b, float[2,4] c) => (float[2,3] y, int32[2,3] z, float[2,3] w)
  <float s = {0.1}, int8[4,3] k = {1,2,3,4,5,6,7,8,9,10,11,12}> {
  p = DequantizeLinear(a, s)  q = DequantizeLinear(b, s)  r = Identity(q)  y = MatMul(p, r)
  z = MatMulInteger(a, b)  t = DequantizeLinear(k, s)  w = MatMul(c, t) }"""


def test_both_factors_must_have_eight_bits() -> None:
    assert eight_bit_products(onnx.parser.parse_model(HEAD + BOTH)) == 2


def test_the_report_counts_what_was_kept_and_what_became_floating_point() -> None:
    _, report = surgery.fix_model(onnx.parser.parse_model(HEAD + BOTH))
    check = next(check for check in report.checks if check.name == "surgery")
    assert check.figures["eight_bit_products"] == {"before": 2, "kept": 1, "in_floating_point": 1}
    assert "of 2 eight-bit products 1 kept, 1 in floating point" in check.message


def test_a_model_without_them_has_no_count() -> None:
    text = "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    _, report = surgery.fix_model(onnx.parser.parse_model(HEAD + text))
    assert all("eight_bit_products" not in check.figures for check in report.checks)
