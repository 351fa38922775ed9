"""SG031: QuantizeLinear and DequantizeLinear of numbers that hold multiples of the same scale already."""

from __future__ import annotations

import numpy as np
import pytest

import surgery
from tests.surgery.passes.comparing import Case, becomes, parse, run, stays

CODE = "SG031"
STORED = "float s = {0.04942}, uint8 z = {134}, float t = {0.05}, uint8 y0 = {133}, float[2] r = {0.1, 0.2}"
GRAPH = f"g (float[2,4] x) => (float[4,2] y) <{STORED}>"


def pair(source: str, result: str, scale: str = "s", zero: str = "z") -> str:
    steps = f"{scale}, {zero}"
    return f"{result}q = QuantizeLinear({source}, {steps})  {result} = DequantizeLinear({result}q, {steps})"


FIRST = pair("x", "a")
REWRITES = [
    Case(
        "a Transpose between",
        f"{GRAPH} {{ {FIRST} b = Transpose<perm = [1, 0]>(a) {pair('b', 'c')} y = Neg(c) }}",
        after=f"{GRAPH} {{ {FIRST} b = Transpose<perm = [1, 0]>(a) y = Neg(b) }}",
    ),
    Case("nothing between", f"{GRAPH} {{ {FIRST} {pair('a', 'c')} y = Transpose(c) }}",
         after=f"{GRAPH} {{ {FIRST} y = Transpose(a) }}"),
    Case(
        "a chain of pairs behind a Split and a Relu",
        f"""g (float[2,4] x) => (float[2,2] y, float[2,2] w) <{STORED}> {{
          {FIRST}
          b, c = Split<axis = 1>(a)
          {pair("b", "d")}
          e = Relu(d)
          {pair("e", "f")}
          y = Neg(f)
          {pair("c", "h")}
          w = Abs(h)
        }}""",
        opset=13,
        after=f"""g (float[2,4] x) => (float[2,2] y, float[2,2] w) <{STORED}> {{
          {FIRST}
          b, c = Split<axis = 1>(a)
          e = Relu(b)
          y = Neg(e)
          w = Abs(c)
        }}""",
    ),
    Case(
        "a Concat of two tensors with the same scale",
        f"""g (float[2,4] x) => (float[2,8] y) <{STORED}> {{
          {FIRST} {pair("a", "b", "t")} d = Neg(b) {pair("d", "e")} c = Concat<axis = 1>(a, e) {pair("c", "f")}
          y = Neg(f)
        }}""",
        after=f"""g (float[2,4] x) => (float[2,8] y) <{STORED}> {{
          {FIRST} {pair("a", "b", "t")} d = Neg(b) {pair("d", "e")} c = Concat<axis = 1>(a, e) y = Neg(c)
        }}""",
    ),
    Case(
        "the numbers that are rounded again are read with another scale",
        f"""{GRAPH} {{
          {FIRST} b = QuantizeLinear(a, s, z) c = DequantizeLinear(b, t, z) d = Transpose(c) e = Transpose(a)
          y = Div(d, e)
        }}""",
        after=f"""{GRAPH} {{
          {FIRST} c = DequantizeLinear(aq, t, z) d = Transpose(c) e = Transpose(a) y = Div(d, e)
        }}""",
    ),
    Case(
        "the eight-bit numbers are read by another node",
        f"""g (float[2,4] x) => (float[4,2] y, int32[4,2] i) <{STORED}> {{
          {FIRST} b = Transpose(a) {pair("b", "c")} y = Neg(c) i = Cast<to = 6>(cq)
        }}""",
        after=f"""g (float[2,4] x) => (float[4,2] y, int32[4,2] i) <{STORED}> {{
          {FIRST} b = Transpose(a) cq = QuantizeLinear(b, s, z) y = Neg(b) i = Cast<to = 6>(cq)
        }}""",
    ),
]  # fmt: skip
PRODUCT = f"""g (float[2,4] x) => (float[4,2] y) <{STORED}, int8[2,2] w = {{1, -20, 30, 4}}> {{
  {FIRST} b = Transpose(a) {pair("b", "c")} f = DequantizeLinear(w, s) y = MatMul(c, f)
}}"""
LEFT_ALONE = [
    Case("a product of eight bits behind a Transpose", PRODUCT),
    Case("another scale", f"{GRAPH} {{ {FIRST} b = Transpose(a) {pair('b', 'c', 't')} y = Neg(c) }}"),
    Case("another zero point", f"{GRAPH} {{ {FIRST} b = Transpose(a) {pair('b', 'c', zero='y0')} y = Neg(c) }}"),
    Case(
        "another scale in the DequantizeLinear",
        f"{GRAPH} {{ {FIRST} b = Transpose(a) q = QuantizeLinear(b, s, z) c = DequantizeLinear(q, t, z) y = Neg(c) }}",
    ),
    Case(
        "an operator between that computes",
        f"{GRAPH} {{ {FIRST} b = Transpose(a) n = Abs(b) {pair('n', 'c')} y = Neg(c) }}",
    ),
    Case(
        "a Concat with numbers that were not rounded",
        f"""g (float[2,4] x) => (float[2,8] y) <{STORED}> {{
              {FIRST} b = Concat<axis = 1>(a, x) {pair("b", "c")} y = Neg(c)
            }}""",
    ),
    Case(
        "a product behind a Split, which would no longer read eight bits",
        f"""g (float[2,4] x, float[2,2] w) => (float[2,2] y, float[2,2] c) <{STORED}> {{
          {FIRST} b, c = Split<axis = 1>(a) {pair("b", "d")} y = MatMul(d, w)
        }}""",
        opset=13,
    ),
    Case(
        "a pool that may add windows outside",
        f"""g (float[1,1,4] x) => (float[1,1,2] y) <{STORED}> {{
          {FIRST} b = MaxPool<kernel_shape = [1], strides = [2], ceil_mode = 1>(a) {pair("b", "d")} y = Neg(d)
        }}""",
    ),
    Case(
        "a scale for each channel",
        f"""g (float[2,2] x) => (float[2,2] y) <{STORED}, uint8[2] zz = {{1, 2}}> {{
          a = QuantizeLinear(x, r, zz) b = DequantizeLinear(a, r, zz)
          c = QuantizeLinear(b, r, zz) d = DequantizeLinear(c, r, zz)
          y = Neg(d)
        }}""",
    ),
    Case(
        "a scale below the normal numbers, where multiples are rounded by more",
        f"{GRAPH} {{ {FIRST} b = Transpose(a) {pair('b', 'c')} y = Neg(c) }}".replace("0.04942", "1e-40"),
    ),
    Case("an output of the graph", f"{GRAPH} {{ {FIRST} b = Transpose(a) {pair('b', 'y')} }}"),
    Case("rounded once", f"{GRAPH} {{ {FIRST} y = Transpose(a) }}"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)


def test_onnxruntime_finds_the_pair_in_front_of_a_transpose() -> None:
    model = parse(PRODUCT, 17)
    fixed, _ = surgery.fix_model(model, target="onnxruntime")
    operators = [node.op_type for node in fixed.graph.node]
    assert sorted(operators) == ["DequantizeLinear", "DequantizeLinear", "MatMul", "QuantizeLinear", "Transpose"]


@pytest.mark.parametrize("zero", [134, 128])
@pytest.mark.parametrize("target", ["tensorrt-rtx", "onnxruntime"])
def test_products_of_eight_bits_stay(target: str, zero: int) -> None:
    model = parse(PRODUCT.replace("{134}", f"{{{zero}}}"), 17)
    _, report = surgery.fix_model(model, target=target)
    figures = next(check.figures for check in report.checks if "eight_bit_products" in check.figures)
    assert figures["eight_bit_products"] == {"before": 1, "kept": 1, "in_floating_point": 0}


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("step", [1.2e-38, 1e-7, 0.04942, 0.1, 3e33])
def test_every_multiple_keeps_its_bits(step: float, kind: str) -> None:
    text = REWRITES[0].text.replace("0.04942", repr(step)).replace("[2,4]", "[1,520]").replace("[4,2]", "[520,1]")
    text = text.replace("uint8 z = {134}", f"{kind} z = {{-7}}" if kind == "int8" else "uint8 z = {134}")
    model = parse(text, 17)
    fixed, _ = surgery.fix_model(model, guard=False, target="onnxruntime")
    whole = np.arange(-256, 256, dtype=np.float64)
    values = [*(whole + 0.3) * step, np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5 * step, -0.5 * step, 1.5 * step]
    feeds = {"x": np.array(values, np.float32)[None]}
    assert len(fixed.graph.node) == 4
    assert [value.tobytes() for value in run(fixed, feeds)] == [value.tobytes() for value in run(model, feeds)]
