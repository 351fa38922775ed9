"""Walking graphs: every graph with its path, what a node depends on, and which node makes a tensor."""

from __future__ import annotations

import onnx

from surgery.graph.read import to_graph
from surgery.graph.walk import every_graph, nodes_inside, producer, shown_name, tensors_read

# The names of the Loop and of the If inside it are left blank.
MODEL = """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
g (float[2] x, int64 n, bool c) => (float[2] y) <float[2] scale = {1, 2}> {
  y = Loop(n, c, x) <body = b (int64 i, bool going, float[2] state) => (bool on, float[2] next) {
    on = Identity(going)
    next = If(c) <then_branch = t () => (float[2] u) { u = Mul(state, scale) },
                  else_branch = e () => (float[2] x) { }>
  }>
}
<opset_import: ["" : 20], domain: "own"> f (a) => (b) { b = Neg(a) }"""


def test_every_graph_with_its_path() -> None:
    graph = to_graph(onnx.parser.parse_model(MODEL))
    assert [(inner.name, path) for inner, path in every_graph(graph)] == [
        ("g", ""),
        ("b", "node_of_y/body"),
        ("t", "node_of_y/body/node_of_next/then_branch"),
        ("e", "node_of_y/body/node_of_next/else_branch"),
        ("f", "own::f"),
    ]


def test_what_a_node_depends_on() -> None:
    (loop,) = to_graph(onnx.parser.parse_model(MODEL)).nodes
    assert [node.op for node in nodes_inside(loop)] == ["Identity", "If", "Mul"]
    assert {"n", "c", "x", "scale"} <= {tensor.name for tensor in tensors_read(loop)}


def test_the_node_that_makes_a_tensor() -> None:
    graph = to_graph(onnx.parser.parse_model(MODEL))
    (loop,) = graph.nodes
    assert producer(graph.outputs[0]) is producer(graph.outputs[0], "If", "Loop") is loop
    assert producer(graph.outputs[0], "If") is None
    assert producer(graph.inputs[0]) is None
    loop.domain = "own"
    assert producer(graph.outputs[0], "Loop") is None
    loop.name = "mine"
    assert shown_name(loop) == "mine"
