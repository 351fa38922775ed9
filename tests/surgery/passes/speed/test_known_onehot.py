"""SG209: OneHot of known indices."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.passes.speed.known_onehot import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG209"
REWRITES = [
    Case(
        "repeats of repeat_interleave",
        """g (int64[1] n) => (int64[1,4] y) <int64[1] one = {1}, int64 depth = {4}> {
          v = Concat<axis = 0>(one, n)
          y = OneHot(one, depth, v)
        }""",
        after="""g (int64[1] n) => (int64[1,4] y) <int64[1] one = {1}, int64[1,4] t0 = {0, 1, 0, 0}> {
          v = Concat<axis = 0>(one, n)
          y = Gather<axis = 0>(v, t0)
        }""",
    ),
    Case(
        "negative indices along the first axis",
        """g (float[2] v) => (float[3,2] y) <int64[2] i = {-1, 1}, int64[1] depth = {3}> {
          y = OneHot<axis = 0>(i, depth, v)
        }""",
        after="""g (float[2] v) => (float[3,2] y) <int64[3,2] t0 = {0, 0, 0, 1, 1, 0}> {
          y = Gather<axis = 0>(v, t0)
        }""",
    ),
    Case(
        "an index outside the depth",
        """g (float[2] v) => (float[3,2] y) <int64[3] i = {2, 0, -3}, int64 depth = {2}> {
          y = OneHot(i, depth, v)
        }""",
        after="""g (float[2] v) => (float[3,2] y) <int64[3,2] t0 = {0, 0, 1, 0, 0, 0}> {
          y = Gather<axis = 0>(v, t0)
        }""",
    ),
]
LEFT_ALONE = [
    Case(
        "the depth is computed",
        "g (float[2] v, int64 depth) => (float[1,k] y) <int64[1] i = {0}> { y = OneHot(i, depth, v) }",
    ),
    Case(
        "more than 4096 elements",
        """g (float[2] v) => (float[1,4097] y) <int64[1] i = {0}, int64 depth = {4097}> {
          y = OneHot(i, depth, v)
        }""",
    ),
]
HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] v, int64[2,2] free) => (float[K,L,M] y) '
CONSTANTS = "<int64[2,2] i = {0, -1, 3, 7}, int64 d = {4}, int64 none = {0}> "


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize("attributes", ["", "<axis = 0>", "<axis = 1>", "<axis = -2>"])
def test_values_stay_bit_for_bit(attributes: str) -> None:
    source = parser.parse_model(HEAD + CONSTANTS + f"{{ y = OneHot{attributes}(i, d, v) }}")
    result = fixed(source)
    assert [node.op_type for node in result.graph.node] == ["Gather"]
    feeds = {"v": np.array([0.5, 2], np.float32), "free": np.zeros((2, 2), np.int64)}
    rows = np.array([[0, 3], [3, 9]])[..., None] == np.arange(4)
    wanted = np.moveaxis(rows, -1, {"": 2, "<axis = 0>": 0}.get(attributes, 1)) * 1.5 + 0.5
    np.testing.assert_array_equal(ReferenceEvaluator(result).run(None, feeds)[0], wanted.astype(np.float32))
    assert fixed(result) is result


def test_computed_indices_are_left_alone() -> None:
    source = parser.parse_model(HEAD + CONSTANTS + "{ y = OneHot(free, d, v) }")
    assert fixed(source) is source


def test_repeat_interleave_of_the_older_exporter() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[B,3] x, float[N,2] other) => (float[M,3] y)
    <int64[1] one = {1}, int64 d = {3},
     int64 first = {0}, int64[1] all = {-1}, int64[1] two = {2}, int64[1] three = {3}> {
      s = Shape(other)  g = Gather(s, first)  n = Reshape(g, one)  v = Concat<axis = 0>(one, n)
      h = OneHot(one, d, v)  r = Reshape(h, all)  u = Unsqueeze(x, one)  t = Tile(u, r)  a = Shape(t)
      e = Slice(a, two, three)  f = Concat<axis = 0>(all, e)  y = Reshape(t, f)
    }"""
    fixed_model, report = surgery.fix_model(parser.parse_model(text))
    left = [node.op_type for node in fixed_model.graph.node]
    assert "OneHot" not in left
    assert left.count("Shape") == 1, "the shape of what Tile makes is known"
    assert report.checks[1].status == "pass"


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
