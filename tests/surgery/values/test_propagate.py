"""What shape arithmetic is said to compute is what it computes, at whatever sizes the model runs."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import surgery
from surgery.graph.infer import infer
from surgery.graph.read import to_graph
from surgery.pipeline.context import Context
from surgery.values import polynomials
from surgery.values.polynomials import Polynomial
from surgery.values.propagate import content_of, contents, numbers
from verify.model.walk import opsets_of

SIZES = ((2, 3), (5, 1), (1, 7))
# Nodes that compute t from x (float[n,m,4]), s = Shape(x) and int64 constants; how many of t's elements are known.
CASES = {
    "gather": ("i = Constant<value = int64[2] {2, -3}>() t = Gather(s, i)", 2),
    "slice": ("a = Constant<value = int64[1] {-2}>() b = Constant<value = int64[1] {9}>() t = Slice(s, a, b)", 2),
    "slice back": (
        "a = Constant<value = int64[1] {9}>() b = Constant<value = int64[1] {-9}>() "
        "c = Constant<value = int64[1] {0}>() d = Constant<value = int64[1] {-1}>() t = Slice(s, a, b, c, d)",
        3,
    ),
    "part of a shape": ("t = Shape<start = 1, end = -1>(x)", 1),
    "size": ("z = Size(x) c = Constant<value = int64[1] {0}>() t = Unsqueeze(z, c)", 1),
    "concat": ("k = Constant<value = int64[2] {-1, 8}>() t = Concat<axis = 0>(s, k)", 5),
    "cast": ("a = Cast<to = 6>(s) b = Cast<to = 7>(a) t = Cast<to = 7>(s)", 3),
    "squeeze": ("a = Shape<end = 1>(x) b = Squeeze(a) c = Constant<value = int64[1] {0}>() t = Unsqueeze(b, c)", 1),
    "arithmetic": (
        "k = Constant<value = int64[3] {2, 3, 2}>() a = Mul(s, k) b = Add(a, k) c = Sub(b, s) d = Neg(c) t = Sub(k, d)",
        3,
    ),
    "division": ("k = Constant<value = int64[1] {2}>() a = Mul(s, k) b = Div(a, k) t = Mod(a, k)", 3),
    "division that is not even": ("k = Constant<value = int64[1] {2}>() t = Div(s, k)", 1),
    "product of dims": ("a = ReduceProd<keepdims = 1>(s) t = Identity(a)", 1),
    "largest": (
        "k = Constant<value = int64[1] {0}>() a = Max(s, k) b = Constant<value = int64[1] {4}>() t = Min(a, b)",
        1,
    ),
    "choice": (
        "k = Constant<value = int64[3] {-1, 4, 4}>() c = Equal(s, k) t = Where(c, k, s)",
        2,
    ),
    "comparison": (
        "k = Constant<value = int64[1] {-1}>() a = Less(k, s) b = Greater(k, s) c = Not(b) d = And(a, c) e = Or(b, d) "
        "o = Constant<value = int64[1] {1}>() z = Constant<value = int64[1] {0}>() t = Where(e, o, z)",
        3,
    ),
    "filled": ("k = Constant<value = int64[1] {3}>() a = ConstantOfShape<value = int64[1] {7}>(k) t = Mul(a, s)", 3),
    "range": (
        "a = Constant<value = int64 {1}>() b = Constant<value = int64 {7}>() c = Constant<value = int64 {3}>() "
        "t = Range(a, b, c)",
        2,
    ),
    "reshape and expand": (
        "a = Constant<value = int64[2] {1, -1}>() b = Reshape(s, a) c = Constant<value = int64[2] {2, 3}>() "
        "d = Expand(b, c) f = Constant<value = int64[1] {-1}>() t = Reshape(d, f)",
        6,
    ),
}
HEADER = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,m,4] x) => (int64[k] t) { s = Shape(x) '


def at(value: Any, dims: dict[str, int]) -> Any:
    if not isinstance(value, Polynomial):
        return value
    return sum(factor * prod(dims[name] for name in names) for names, factor in value.terms.items())


def is_known(value: Any) -> bool:
    return not isinstance(value, Polynomial) or not any(name[0] == "?" for names in value.terms for name in names)


@pytest.mark.parametrize("name", CASES)
def test_contents_are_what_the_model_computes(name: str) -> None:
    body, known = CASES[name]
    model = onnx.parser.parse_model(HEADER + body + " }")
    graph, context = to_graph(model), Context(None, opsets_of(model.opset_import))
    context.root = graph
    infer(graph, context.opsets)
    rows, columns, _ = graph.inputs[0].shape
    found = contents(graph, context)
    tensors = {t.name: found[id(t)] for node in graph.nodes for t in node.outputs if id(t) in found}
    assert sum(is_known(value) for value in tensors["t"].flat) == known
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors if tensor != "t")
    names = [output.name for output in model.graph.output]
    for n, m in SIZES:
        values = dict(zip(names, ReferenceEvaluator(model).run(None, {"x": np.zeros((n, m, 4), "f")}), strict=True))
        for tensor, content in tensors.items():
            assert content.shape == np.shape(values[tensor])
            for claimed, computed in zip(content.flat, np.ravel(values[tensor]), strict=True):
                assert not is_known(claimed) or at(claimed, {rows: n, columns: m}) == computed, tensor


def test_large_and_floating_tensors_are_not_followed() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[n] x) => (int64[300] t, float[1] f) { '
        "k = Constant<value = int64[1] {300}>() t = ConstantOfShape<value = int64[1] {7}>(k) "
        "s = Shape(x) f = Cast<to = 1>(s) }"
    )
    graph, context = to_graph(model), Context(None, {"": 17})
    context.root = graph
    infer(graph, context.opsets)
    found = contents(graph, context)
    assert [content_of(output, found) for output in graph.outputs] == [None, None]
    assert numbers(None) is None
    assert numbers(np.array([polynomials.symbol("n"), 2], dtype=object)) is None
    assert numbers(np.array([[3, 2]], dtype=object)) == [3, 2]


def test_a_reader_that_a_pass_attaches_gets_the_shape_that_contents_gave() -> None:
    """The Loop hides that `t` has the shape of `e`, which follows from the contents of `s`."""
    model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 20]>
    g (float[2,1,k] x, float[n,3] z) => (int64[3] y) <int64 two = {2}, bool go = {1}, int64[1] i = {-1}> {
      d = Shape(z) r = Gather(d, i) u = Concat<axis = 0>(r, r) e = Expand(x, u)
      l = Loop(two, go, e) <body = body (int64 it, bool c, float[] v) => (bool c2, float[] w) {
        c2 = Identity(c) w = Identity(v) }>
      t = Sin(l) s = Shape(t) y = Min(s, two)
    }""")
    fixed, _ = surgery.fix_model(model, guard=False)
    again, report = surgery.fix_model(fixed, guard=False)
    assert again is fixed, [finding.message for finding in report.findings]


def test_the_shape_of_a_node_follows_its_attributes_and_operands_when_they_change() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[2,3] x, float[4,k] z) => (float[a,b] y) {
        s = Shape(x) t = ConstantOfShape(s) u = Transpose<perm = [1, 0]>(t) v = Transpose<perm = [1, 0]>(t)
        y = MatMul(u, t) }"""
    )
    graph, context = to_graph(model), Context(None, {"": 17})
    context.root = graph
    infer(graph, context.opsets)
    source, first, second = graph.nodes[1].outputs[0], graph.nodes[2], graph.nodes[3]

    def shapes(*nodes: Any) -> list[Any]:
        for tensor in (source, *(node.outputs[0] for node in nodes)):
            tensor.shape = None
        context.invalidate()
        contents(graph, context)
        return [node.outputs[0].shape for node in nodes]

    assert shapes(first, second) == [[3, 2], [3, 2]]
    second.attrs["perm"] = [0, 1]
    assert shapes(first, second) == [[3, 2], [2, 3]]
    second.attrs["perm"].reverse()
    graph.inputs[0].shape = [5, 3]
    assert shapes(first, second) == [[3, 5], [3, 5]]
