"""Patterns that passes rewrite, each whole, as ONNX text."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'
NORM = """m = ReduceMean(x, ax)  d = Sub(x, m)  s = Mul(d, d)  v = ReduceMean(s, ax)  e = Add(v, eps)
r = Sqrt(e)  n = Div(d, r)  a = Mul(n, w)  y = Add(a, b) }"""
GELU = "<float r = {1.4142135}, float i = {0.70710677}, float one = {1}, float half = {0.5}> "
X = "g (float[2,3] x) => (float[2,3] y) "
PLACES = "u = Unsqueeze(m, last)  s = Shape(x)  e = Expand(u, s)  z = NonZero(e)  i = Transpose<perm = [1, 0]>(z)  "
COUNT = "r = Reshape(m, last)  c = Cast<to = 7>(r)  n = ReduceSum<keepdims = 1>(c)  t = Concat<axis = 0>(n, four)  "
MASKED = """g (float[2,3,4] x, bool[2,3] m, bool[2,3] other) => (float[2,3,4] y)
<int64[1] last = {-1}, int64[1] first = {0}, int64[1] one = {1}, int64[1] four = {4}, float[1] half = {0.5},
 float[4] w = {1, 2, 3, 4}, float zero = {0}> {"""
ROWS = "a = NonZero(m)  k = Transpose<perm = [1, 0]>(a)  g = GatherND(x, k)  "
CONV = "g (float[1,2,3,3] x) => (float[1,3,3,3] y) <float[3,2,1,1] w = {1,2,3,4,5,6}, float[3] b = {1,-1,2}, "

# (code, name, model)
PATTERNS: list[tuple[str, str, str]] = [
    ("SG202", "last axis", "g (float[2,3,4] x) => (float[2,3,4] y) <int64[1] ax = {-1}, float eps = {0.25}, float[4] w = {1,2,3,4}, float[4] b = {5,6,7,8}> {" + NORM),
    ("SG202", "channels", "g (float[2,3,2,2] x) => (float[2,3,2,2] y) <int64[1] ax = {1}, float eps = {0.25}, float[3,1,1] w = {1,2,3}, float[3,1,1] b = {5,6,7}> {" + NORM),
    ("SG202", "all dims alike", "g (float[3,3] x) => (float[3,3] y) <int64[1] ax = {1}, float eps = {0.25}, float[3] w = {1,2,3}, float[3] b = {5,6,7}> {" + NORM),
    ("SG202", "squared by Pow", "g (float[3,3] x) => (float[3,3] y) <int64[1] ax = {1}, float eps = {0.25}, float two = {2}> { m = ReduceMean(x, ax)  d = Sub(x, m)  s = Pow(d, two)  v = ReduceMean(s, ax)  e = Add(eps, v)  r = Sqrt(e)  y = Div(d, r) }"),
    ("SG203", "with the largest taken off", "g (float[3,3] x) => (float[3,3] y) <int64[1] ax = {-1}> { m = ReduceMax(x, ax)  d = Sub(x, m)  e = Exp(d)  s = ReduceSum(e, ax)  y = Div(e, s) }"),
    ("SG203", "plain, over the first axis", "g (float[2,3] x) => (float[2,3] y) <int64[1] ax = {0}> { e = Exp(x)  s = ReduceSum(e, ax)  y = Div(e, s) }"),
    ("SG203", "of the logarithm", "g (float[2,3] x) => (float[2,3] y) { l = LogSoftmax<axis = 0>(x)  y = Exp(l) }"),
    ("SG206", "half last", X + GELU + "{ d = Div(x, r)  e = Erf(d)  p = Add(e, one)  m = Mul(x, p)  y = Mul(m, half) }"),
    ("SG206", "half first", X + GELU + "{ d = Mul(x, i)  e = Erf(d)  p = Add(e, one)  m = Mul(p, half)  y = Mul(x, m) }"),
    ("SG206", "half of the input", X + GELU + "{ d = Mul(i, x)  e = Erf(d)  p = Add(one, e)  h = Mul(x, half)  y = Mul(h, p) }"),
    ("SG208", "table", "g (float[2,3,2,1] x) => (float[2,3,2,1] y) <float[3,2,2] t = {1,2,3,4,5,6,7,8,9,10,11,12}> { y = MatMul(t, x) }"),
    ("SG208", "table repeated", "g (float[6,2,1] x) => (float[6,2,1] y) <float[3,2,2] t = {1,2,3,4,5,6,7,8,9,10,11,12}, int64[3] n = {2,1,1}> { k = Tile(t, n)  y = MatMul(k, x) }"),
    ("SG205", "rows in the middle", "g (float[4,3] x, float[2,3] u) => (float[4,3] y) <int64[2,1] i = {1,2}> { y = ScatterND(x, i, u) }"),
    ("SG205", "a column", "g (float[3,3] x, float[3,1] u) => (float[3,3] y) <int64[3,1,2] i = {0,1,1,1,2,1}> { y = ScatterND(x, i, u) }"),
    ("SG205", "from behind", "g (float[2,2,2] x, float[2,2] u) => (float[2,2,2] y) <int64[2,2] i = {0,-1,1,-1}> { y = ScatterND(x, i, u) }"),
    ("SG207", "one number", MASKED + PLACES + "l = Shape(i)  k = Slice(l, first, one)  v = Expand(half, k)  y = ScatterND(x, i, v) }"),
    ("SG207", "one row", MASKED + PLACES + COUNT + "p = Expand(w, t)  v = Reshape(p, last)  y = ScatterND(x, i, v) }"),
    ("SG207", "a sum", MASKED + PLACES + ROWS + "p = Add(g, w)  v = Reshape(p, last)  y = ScatterND(x, i, v) }"),
    ("SG207", "as many as there are places", MASKED + PLACES + ROWS + "o = Mul(g, w)  q = Reshape(o, last)  l = Shape(i)  h = Slice(l, first, one)  v = Slice(q, first, h)  y = ScatterND(x, i, v) }"),
    ("SG207", "a sum of what axes count from the front", (MASKED + PLACES + ROWS + "v = Add(g, w)  f = Reshape(v, last)  y = ScatterND(x, i, f) }").replace("last = {-1}", "last = {-1}, int64[1] third = {2}").replace("Unsqueeze(m, last)", "Unsqueeze(m, third)")),
    ("SG207", "two dims behind the mask", MASKED.replace("2,3,4", "2,3,2,2").replace("four = {4}", "four = {4}, int64[2] both = {-1, 2}, float[2,2] h = {1, 2, 3, 4}, float[2] k1 = {5, 6}") + PLACES.replace("Unsqueeze(m, last)", "Unsqueeze(m, both)") + ROWS + "o = Mul(h, g)  p = Sub(o, k1)  v = Reshape(p, last)  y = ScatterND(x, i, v) }"),
    ("SG207", "cut with axes and steps", MASKED + PLACES + ROWS + "o = Mul(g, w)  q = Reshape(o, last)  l = Shape(i)  h = Slice(l, first, one)  c = Slice(q, first, h, first)  d = Slice(c, first, h, first, one)  f = Slice(d, first, h, , one)  v = Slice(f, first, h, first, )  y = ScatterND(x, i, v) }"),
    ("SG207", "one row with a dim for the places", MASKED.replace("float[4] w", "float[1,4] w") + PLACES + COUNT + "p = Expand(w, t)  v = Reshape(p, last)  y = ScatterND(x, i, v) }"),
    ("SG207", "in opset 11", '<ir_version: 6, opset_import: ["" : 11]> ' + MASKED + (PLACES + ROWS + "p = Add(g, w)  v = Reshape(p, last)  y = ScatterND(x, i, v) }").replace("Unsqueeze(m, last)", "Unsqueeze<axes = [2]>(m)")),
    ("SG207", "values of another tensor", MASKED.replace("bool[2,3] other", "float[2,3,4] h") + PLACES + ROWS.replace("GatherND(x", "GatherND(h") + "v = Reshape(g, last)  y = ScatterND(x, i, v) }"),
    ("SG207", "whole rows", MASKED + "j = ReduceMax<keepdims = 0>(x, last)  o = Greater(j, zero)  a = NonZero(o)  b = Transpose<perm = [1, 0]>(a)  g = GatherND(x, b)  v = Sub(w, g)  y = ScatterND(x, b, v) }"),
    ("SG210", "batch normalization", CONV + "float[3] s = {1,2,3}, float[3] h = {4,5,6}, float[3] m = {0.5,1,-2}, float[3] v = {1,4,0.25}> { c = Conv(x, w, b)  y = BatchNormalization<epsilon = 0.5>(c, s, h, m, v) }"),
    ("SG210", "a scale and an offset", CONV + "float[3,1,1] s = {1,2,3}, float[1,3,1,1] h = {4,5,6}> { c = Conv(x, w)  d = Mul(c, s)  y = Add(h, d) }"),
    ("SG210", "one number for all", CONV + "float h = {4}> { c = Conv<dilations = [1, 1]>(x, w, b)  y = Add(c, h) }"),
    ("SG012", "a branch of its own", "g (float[3] x) => (float[3] y) <bool c = {1}, bool d = {0}> { y = If(c)<then_branch = t() => (float[3] a) { a = Relu(x) }, else_branch = e() => (float[3] b) { b = Neg(x) }> }"),
    ("SG005", "a chain", "g (float[2] x) => (float[2] y) <float[2] a = {1,2}, float[2] b = {3,4}> { c = Mul(a, b)  d = Exp(c)  e = Add(d, a)  y = Add(x, e) }"),
]  # fmt: skip


def pattern(text: str) -> onnx.ModelProto:
    """The model, with its nodes named for their outputs."""
    made = onnx.parser.parse_model(text if "ir_version" in text else HEAD + text)
    for node in made.graph.node:
        node.name = node.output[0]
    return made


def inputs_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Numbers of both signs, and masks with both values, for every input."""
    chance = np.random.default_rng(3)
    feeds = {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        drawn = chance.normal(size=shape)
        feeds[value.name] = (
            drawn > 0 if value.type.tensor_type.elem_type == onnx.TensorProto.BOOL else drawn.astype(np.float32)
        )
    return feeds
