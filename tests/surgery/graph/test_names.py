"""Names under which tensors are written: those of the interface stay, and no two that can see each other are equal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

from surgery.graph.names import Names
from surgery.graph.nodes import Constant, Node, Variable
from surgery.graph.read import to_graph
from surgery.graph.write import to_model
from surgery.passes.cleanup.constants import constant_loop
from surgery.passes.cleanup.idle import identity_node
from surgery.pipeline.apply import apply_passes
from surgery.pipeline.options import Options


def chain(*names: str) -> gs.Graph:
    """A graph of Identity nodes whose tensors have these names."""
    tensors = [Variable(name, np.dtype("float32"), [2]) for name in names]
    nodes = [Node("Identity", "", {}, [one], [other]) for one, other in pairwise(tensors)]
    return gs.Graph(nodes, [tensors[0]], [tensors[-1]], name="g")


def test_inputs_and_outputs_keep_their_names() -> None:
    graph = chain("x", "y", "x", "y")
    names = Names(graph)
    written = [names.of(node.outputs[0]) for node in graph.nodes]
    assert (names.of(graph.inputs[0]), written[-1]) == ("x", "y")
    assert len({"x", *written}) == 4
    assert [list(node.output) for node in to_model(graph).graph.node] == [[name] for name in written]


def test_a_name_taken_around_a_branch_is_not_used_inside() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (bool c, float[2] x) => (float[2] y) { '
        "a = Neg(x) b = If(c) <then_branch = t () => (float[2] u) { u = Add(a, x) }, "
        "else_branch = e () => (float[2] v) { v = Neg(x) }> y = Add(a, b) }"
    )
    graph = to_graph(model)
    branch = graph.nodes[1].attrs["then_branch"]
    branch.outputs[0].name = "a"
    graph.nodes[1].attrs["else_branch"].outputs[0].name = "u"
    written = to_model(graph)
    onnx.checker.check_model(written, full_check=True)
    inner = written.graph.node[1].attribute[0].g
    assert inner.output[0].name == inner.node[0].output[0] != "a"
    assert list(inner.node[0].input) == ["a", "x"]


def test_a_constant_belongs_to_the_graph_around_all_its_readers() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (bool c, float[2] x) => (float[2] y) { '
        "y = If(c) <then_branch = t () => (float[2] u) { u = Neg(x) }, "
        "else_branch = e () => (float[2] v) { v = Neg(x) }> }"
    )
    graph = to_graph(model)
    shared, own = Constant("k", np.ones(2, "f")), Constant("k", np.zeros(2, "f"))
    branches = list(graph.nodes[0].attrs.values())
    for branch, constant in zip(branches, (shared, shared), strict=True):
        branch.nodes[0].op = "Add"
        branch.nodes[0].inputs.append(constant)
    branches[0].nodes.append(Node("Add", "", {}, [branches[0].outputs[0], own], [Variable("w")]))
    written = to_model(graph).graph
    assert [list(tensor.dims) for tensor in written.initializer] == [[2]]
    (only,) = written.node[0].attribute[0].g.initializer
    assert {written.initializer[0].name, only.name} == {"k", "k_1"}


def test_copies_of_a_tensor_are_typed_under_their_own_names_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (int32[2] y) <int64 n = {2}, bool c = {1}> { '
        "a = Loop(n, c, x)<body = b (int64 i, bool d, float[2] s) => (bool e, float[2] o) { "
        "e = Identity(d) o = Exp(s) }> y = Cast<to = 6>(a) }"
    )
    outcome = apply_passes(model, "", [constant_loop.PASS, identity_node.PASS], Options())
    assert {name: np.dtype(outcome.types[name]).name for node in outcome.model.graph.node for name in node.output} == {
        "o": "float32", "o_1": "float32", "y": "int32",
    }  # fmt: skip
    assert capfd.readouterr() == ("", "")
