"""Edits keep both ends of every edge in step, outputs of the graph keep their names, and order follows what is read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

from surgery.graph import edit
from surgery.graph.nodes import Constant
from surgery.graph.read import to_graph
from surgery.graph.write import to_model
from verify.errors import SurgeonError


def graph_of(body: str) -> gs.Graph:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[2] x, bool c) => (float[2] y) {{ {body} }}'
    return to_graph(onnx.parser.parse_model(text))


def swept(graph: gs.Graph) -> list[tuple[str, list[str], list[str]]]:
    edit.sweep(graph)
    model = to_model(graph)
    onnx.checker.check_model(model, full_check=True)
    return [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node]


def test_a_node_is_bypassed() -> None:
    graph = graph_of("a = Neg(x) b = Identity(a) y = Add(b, b)")
    edit.bypass(graph, graph.nodes[1])
    assert swept(graph) == [("Neg", ["x"], ["a"]), ("Add", ["a", "a"], ["y"])]


def test_an_output_of_the_graph_keeps_its_name() -> None:
    graph = graph_of("a = Neg(x) z = Abs(a) y = Identity(a)")
    edit.bypass(graph, graph.nodes[2])
    assert swept(graph) == [("Neg", ["x"], ["y"]), ("Abs", ["y"], ["z"])]


def test_an_input_cannot_become_an_output_without_a_node() -> None:
    graph = graph_of("y = Identity(x)")
    assert not edit.can_bypass(graph, graph.nodes[0])
    edit.bypass(graph, graph.nodes[0])
    assert swept(graph) == [("Identity", ["x"], ["y"])]


def test_an_output_becomes_a_constant() -> None:
    graph = graph_of("a = Neg(x) b = Abs(a) y = Add(b, x)")
    value = Constant("k", np.array([1, 2], "f"))
    edit.replace_by_constant(graph, graph.nodes[1], 0, value)
    edit.replace_by_constant(graph, graph.nodes[2], 0, value)
    edit.disconnect(graph, graph.nodes[1])
    edit.disconnect(graph, graph.nodes[0])
    model_nodes = swept(graph)
    assert [(op, outputs) for op, _, outputs in model_nodes] == [("Constant", ["y"])]


def test_disconnecting_frees_what_branches_read() -> None:
    graph = graph_of(
        "a = Neg(x) b = If(c) <then_branch = t () => (float[2] u) { u = Abs(a) }, "
        "else_branch = e () => (float[2] v) { v = Abs(x) }> y = Add(a, x)"
    )
    maker = graph.nodes[0]
    assert len(maker.outputs[0].outputs) == 2
    edit.disconnect(graph, graph.nodes[1])
    assert [reader.op for reader in maker.outputs[0].outputs] == ["Add"]


def test_nodes_are_put_after_what_they_read_also_inside_branches() -> None:
    graph = graph_of(
        "b = If(c) <then_branch = t () => (float[2] u) { u = Abs(a) }, "
        "else_branch = e () => (float[2] v) { v = Abs(x) }> a = Neg(x) y = Add(a, b)"
    )
    misplaced = edit.misplaced(graph)
    assert misplaced is not None
    assert misplaced.op == "If"
    assert [op for op, _, _ in swept(graph)] == ["Neg", "If", "Add"]
    assert edit.misplaced(graph) is None


def test_a_circle_is_named() -> None:
    graph = graph_of("[first] a = Add(x, b) [second] b = Neg(a) y = Abs(b)")
    with pytest.raises(SurgeonError, match="nodes 'second' and 'first' read from each other in a circle"):
        edit.sorted_nodes(graph)


def test_copies_share_what_they_do_not_make() -> None:
    graph = graph_of("a = Neg(x) y = Abs(a)")
    tensors: dict[int, gs.Tensor] = {}
    copies = edit.copy_nodes(graph.nodes, tensors)
    assert [node.op for node in copies] == ["Neg", "Abs"]
    assert copies[0].inputs[0] is graph.inputs[0]
    assert copies[1].inputs[0] is copies[0].outputs[0] is not graph.nodes[0].outputs[0]
