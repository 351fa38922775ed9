"""SG018: Where with a constant mask over two short vectors."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes.cleanup.constants.constant_where_mask import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG018"
REWRITES = [
    Case(
        "one element of each side",
        """g (int64[1] x, int64[1] z) => (int64[2] y) <bool[2] c = {0, 1}, int64[2] k = {3, 4}> {
          a = Concat<axis = 0>(x, z)
          b = Where(c, k, a)
          y = Neg(b)
        }""",
        after="""g (int64[1] x, int64[1] z) => (int64[2] y) <int64[1] t0 = {4}> {
          b = Concat<axis = 0>(x, t0)
          y = Neg(b)
        }""",
    ),
    Case(
        "a scalar side",
        """g (int64[2] x) => (int64[3] y) <bool[3] c = {1, 0, 0}, int64 k = {7}, int64[1] one = {1}> {
          a = Concat<axis = 0>(one, x)
          y = Where(c, k, a)
        }""",
        after="g (int64[2] x) => (int64[3] y) <int64[1] t0 = {7}> { y = Concat<axis = 0>(t0, x) }",
    ),
    Case(
        "one tensor whole",
        """g (int64[2] x, int64[1] z) => (int64[3] y) <bool[3] c = {0, 0, 1}, int64[3] k = {7, 8, 9}> {
          a = Concat<axis = 0>(x, z)
          y = Where(c, k, a)
        }""",
        after="""g (int64[2] x, int64[1] z) => (int64[3] y) <int64[1] t0 = {9}> {
          y = Concat<axis = 0>(x, t0)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "the mask selects half of an input of the Concat",
        """g (int64[2] x) => (int64[2] y) <bool[2] c = {0, 1}, int64[2] k = {3, 4}> {
          a = Concat<axis = 0>(x)
          b = Where(c, k, a)
          y = Neg(b)
        }""",
    ),
    Case(
        "more than 64 elements",
        """g (int64[64] x, int64[1] z) => (int64[65] y) <bool c = {1}, int64[1] k = {7}> {
          a = Concat<axis = 0>(x, z)
          b = Where(c, a, k)
          y = Neg(b)
        }""",
    ),
    Case(
        "two dims",
        """g (int64[1,2] x) => (int64[1,2] y) <bool[2] c = {1, 0}, int64[1,2] k = {7, 8}> {
          a = Concat<axis = 0>(x)
          y = Where(c, a, k)
        }""",
    ),
]


HEAD = """<ir_version: 8, opset_import: ["" : 17]> g (int64[1] n, int64[2] two, bool[3] b) => (int64[3] y)
<bool[3] c = {0, 1, 1}, bool[3] last = {0, 0, 1}, int64[3] ones = {1, 1, 1}, int64[2] less = {-1, -1}, int64 k = {7}>
"""


def model(body: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + "{" + body + "}")


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize(
    "body",
    [
        "s = Concat<axis = 0>(n, less)  y = Where(c, ones, s)",
        "s = Concat<axis = 0>(two, n)  y = Where(last, k, s)",
        "s = Concat<axis = 0>(n, two)  t = Concat<axis = 0>(less, n)  y = Where(c, s, t)",
        "s = Concat<axis = 0>(n, less)  t = Concat<axis = 0>(n, less)  y = Where(c, s, t)",
    ],
)
def test_values_stay(body: str) -> None:
    source = model(body)
    result = fixed(source)
    assert [node.op_type for node in result.graph.node][-1] == "Concat"
    feeds = {"n": np.array([5]), "two": np.array([8, 9]), "b": np.array([True, False, True])}
    before, after = (ReferenceEvaluator(each).run(None, feeds)[0] for each in (source, result))
    np.testing.assert_array_equal(before, after)
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("s = Concat<axis = 0>(n, less)  y = Where(b, ones, s)", "the condition is computed"),
        ("s = Concat<axis = 0>(n, two)  y = Where(last, ones, s)", "one of two elements is picked"),
        ("s = Concat<axis = 0>(n, less)  t = Neg(s)  y = Where(c, ones, t)", "a side is neither constant nor Concat"),
    ],
)
def test_left_alone(body: str, why: str) -> None:
    source = model(body)
    assert fixed(source) is source, why


def test_the_expand_idiom_of_the_older_exporter() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[B,3,4] x, float[1,3,4] p) => (float[B,3,4] y)
    <int64[1] first = {0}, int64[1] one = {1}, int64[1] less = {-1}, int64[1] three = {3}, int64 k = {0}> {
      s = Shape(x)  b = Gather(s, k)  u = Unsqueeze(b, first)  c = Concat<axis = 0>(u, less, less)
      o = ConstantOfShape<value = int64[1] {1}>(three)  m = Mul(o, less)  e = Equal(c, m)  w = Where(e, o, c)
      y = Expand(p, w)
    }"""
    source = parser.parse_model(text)
    result = surgery.fix_model(source)[0]
    left = [node.op_type for node in result.graph.node]
    assert "Where" not in left
    assert left[-1] == "Expand"


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
