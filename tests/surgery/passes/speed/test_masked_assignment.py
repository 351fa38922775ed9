"""SG207: assignment through a boolean mask."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from surgery.passes.speed.masked_assignment import PASS
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options
from tests.surgery.passes.comparing import operators, same
from verify.run.session import open_session

CODE = "SG207"
PATTERNS = {
    "one number": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          l = Shape(i)  k = Slice(l, first, one)  v = Expand(half, k)  y = ScatterND(x, i, v)
        }""",
    "one row": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          r = Reshape(m, last)  c = Cast<to = 7>(r)  n = ReduceSum<keepdims = 1>(c)  t = Concat<axis = 0>(n, four)
          p = Expand(w, t)  v = Reshape(p, last)  y = ScatterND(x, i, v)
        }""",
    "a sum": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  p = Add(g, w)  v = Reshape(p, last)
          y = ScatterND(x, i, v)
        }""",
    "as many as there are places": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  o = Mul(g, w)  q = Reshape(o, last)
          l = Shape(i)  h = Slice(l, first, one)  v = Slice(q, first, h)  y = ScatterND(x, i, v)
        }""",
    "a sum of what axes count from the front": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] third = {2}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4},
        float[1] half = {0.5}, float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, third)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  v = Add(g, w)  f = Reshape(v, last)
          y = ScatterND(x, i, f)
        }""",
    "two dims behind the mask": """g (float[2,3,2,2] x, bool[2,3] m, bool[2,3] other) => (float[2,3,2,2] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, int64[2] both = {-1,
        2}, float[2,2] h = {1, 2, 3, 4}, float[2] k1 = {5, 6}, float[1] half = {0.5}, float[4] w = {1, 2, 3, 4},
        float zero = {0}> {
          u = Unsqueeze(m, both)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  o = Mul(h, g)  p = Sub(o, k1)
          v = Reshape(p, last)  y = ScatterND(x, i, v)
        }""",
    "cut with axes and steps": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  o = Mul(g, w)  q = Reshape(o, last)
          l = Shape(i)  h = Slice(l, first, one)  c = Slice(q, first, h, first)  d = Slice(c, first, h, first, one)
          f = Slice(d, first, h, , one)  v = Slice(f, first, h, first)  y = ScatterND(x, i, v)
        }""",
    "one row with a dim for the places": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[1,4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          r = Reshape(m, last)  c = Cast<to = 7>(r)  n = ReduceSum<keepdims = 1>(c)  t = Concat<axis = 0>(n, four)
          p = Expand(w, t)  v = Reshape(p, last)  y = ScatterND(x, i, v)
        }""",
    "in opset 11": """<ir_version: 6, opset_import: ["" : 11]>
        g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze<axes = [2]>(m)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)
          i = Transpose<perm = [1, 0]>(z)  a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)
          p = Add(g, w)  v = Reshape(p, last)  y = ScatterND(x, i, v)
        }""",
    "values of another tensor": """g (float[2,3,4] x, bool[2,3] m, float[2,3,4] h) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
          a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(h, k)  v = Reshape(g, last)
          y = ScatterND(x, i, v)
        }""",
    "whole rows": """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
        <int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
        float[4] w = {1, 2, 3, 4}, float zero = {0}> {
          j = ReduceMax<keepdims = 0>(x, last)  o = Greater(j, zero)  a = NonZero(o)  b = Transpose<perm = [1, 0]>(a)
          g = GatherND(x, b)  v = Sub(w, g)  y = ScatterND(x, b, v)
        }""",
}

HEAD = """<ir_version: 8, opset_import: ["" : 17]>
g (float[B,3,4] x, bool[N,3] m, bool[N,3] other, int64[1] step) => (float[B,3,4] y)
<int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] four = {4},
 float[1] half = {0.5}, float[4] w = {1, 2, 3, 4}, float[7] many = {1, 2, 3, 4, 5, 6, 7}, float zero = {0}>
"""
PLACES = """u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)
r = Reshape(m, last)  c = Cast<to = 7>(r)  n = ReduceSum<keepdims = 1>(c)  t = Concat<axis = 0>(n, four)
"""
ROWS = "a = NonZero(m)  b = Transpose<perm = [1, 0]>(a)  g = GatherND(x, b) "
WRITE = " y = ScatterND(x, i, v) }"
GIVEN = {
    "one number": "{" + PLACES + "l = Shape(i)  k = Slice(l, first, one)  v = Expand(half, k)" + WRITE,
    "one row": "{" + PLACES + "p = Expand(w, t)  v = Reshape(p, last)" + WRITE,
    "a sum": "{" + PLACES + ROWS + "p = Add(g, w)  v = Reshape(p, last)" + WRITE,
    "a product less one": "{"
    + PLACES
    + ROWS
    + "o = Mul(w, g)  q = Sub(half, o)  p = Expand(q, t)  v = Reshape(p, last)"
    + WRITE,
    "as many as there are places": "{"
    + PLACES
    + ROWS
    + "o = Add(g, w)  q = Reshape(o, last)  l = Shape(i)  k = Slice(l, first, one)  v = Slice(q, first, k)"
    + WRITE,
    "the same with a step of one": "{"
    + PLACES
    + ROWS
    + "o = Add(g, w)  q = Reshape(o, last)  l = Shape(i)  k = Slice(l, first, one)  v = Slice(q, first, k, first, one)"
    + WRITE,
    "whole rows of a mask made of the data": """{ t = ReduceMax<axes = [2], keepdims = 0>(x)  k = Greater(t, zero)
     a = NonZero(k)  b = Transpose<perm = [1, 0]>(a)  g = GatherND(x, b)  v = Add(g, w)  y = ScatterND(x, b, v) }""",
}


def model(body: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + body)


def fixed(source: onnx.ModelProto) -> onnx.ModelProto:
    return apply_passes(source, "", [PASS], Options()).model


@pytest.mark.parametrize("body", GIVEN.values(), ids=GIVEN)
def test_values_stay_bit_for_bit(body: str) -> None:
    source = model(body)
    result = fixed(source)
    assert "ScatterND" not in [node.op_type for node in result.graph.node]
    rng = np.random.default_rng(0)
    before, after = ReferenceEvaluator(source), ReferenceEvaluator(result)
    for share in (0.0, 0.5, 1.0):
        mask = rng.random((2, 3)) < share
        feeds = {"x": rng.normal(size=(2, 3, 4)).astype(np.float32), "m": mask, "other": ~mask, "step": np.array([1])}
        np.testing.assert_array_equal(before.run(None, feeds)[0], after.run(None, feeds)[0])
    assert fixed(result) is result


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{" + PLACES + "v = Slice(many, first, n)" + WRITE, "each place gets a number of its own"),
        (
            "{" + PLACES + "a = NonZero(other)  b = Transpose<perm = [1, 0]>(a)  g = GatherND(x, b)  p = Add(g, w)"
            "  v = Reshape(p, last)" + WRITE,
            "the values come from the places of another mask",
        ),
        (
            "{ a = NonZero(m)  i = Transpose<perm = [1, 0]>(a)  g = GatherND(x, i)  v = Add(g, w)" + WRITE,
            "the mask may be smaller than the data: nothing says N is B",
        ),
        (
            "{ t = Cast<to = 1>(m)  q = NonZero(t)  i = Transpose<perm = [1, 0]>(q)  k = Shape(i)"
            "  l = Slice(k, first, one)  n = Concat<axis = 0>(l, four)  v = Expand(w, n)" + WRITE,
            "the mask is made of numbers",
        ),
        (
            "{" + PLACES + "a = NonZero(m)  b = Transpose<perm = [1, 0]>(a)  f = Concat<axis = 0>(x, x)"
            "  g = GatherND(f, b)  p = Add(g, w)  v = Reshape(p, last)" + WRITE,
            "the values come from a tensor of another size",
        ),
        ("{" + PLACES + "p = Expand(many, n)  v = Slice(p, first, n, first, step)" + WRITE, "nobody knows the step"),
        (
            "{" + PLACES + ROWS + "o = Add(g, w)  q = Reshape(o, last)  l = Shape(i)  k = Slice(l, first, one)"
            "  v = Slice(q, first, k, first, two)" + WRITE,
            "every second value",
        ),
        ("{" + PLACES + 'v = Expand(half, n)  y = ScatterND<reduction = "add">(x, i, v) }', "it adds"),
    ],
)
def test_left_alone(body: str, why: str) -> None:
    source = model(body)
    assert fixed(source) is source, why


def test_a_mask_that_reaches_beyond_the_data() -> None:
    text = """g (float[N,3] x, bool[M,3] m) => (float[a,b] y) <float v = {7}, int64[1] first = {0}> {
      s = Shape(x)  e = Expand(m, s)  n = NonZero(e)  i = Transpose<perm = [1, 0]>(n)
      t = Shape(i)  k = Gather(t, first)  u = Expand(v, k)  y = ScatterND(x, i, u) }"""
    wide = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0]], bool)
    sets = [{"x": np.ones((1, 3), np.float32), "m": wide}, {"x": np.ones((3, 3), np.float32), "m": wide}]
    sets.append({"x": np.ones((3, 3), np.float32), "m": wide[:1]})
    assert "Where" in operators(same(text, 18, "SG207", sets, exact=True))


@pytest.mark.parametrize("update", ["Sub(v, g)", "Mul(g, g)"])
def test_a_model_may_declare_one_place_where_there_are_none(update: str) -> None:
    text = f"""g (float[1] x, bool[1] m) => (int64[1,1] n, float[1] y) <float[1] v = {{7}}, float[1] g, float[1] u> {{
      n = NonZero(m)  i = Transpose<perm = [1, 0]>(n)  g = GatherND(x, i)  u = {update}  y = ScatterND(x, i, u) }}"""
    source = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> {text}')
    result = fixed(source)
    for chosen in (False, True):
        feeds = {"x": np.array([3], np.float32), "m": np.array([chosen])}
        before, after = (open_session(one, backend="onnxruntime").run(feeds) for one in (source, result))
        assert (before.error, after.error) == ("", "")
        np.testing.assert_array_equal(before.outputs["y"], after.outputs["y"])
