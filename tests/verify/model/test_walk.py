"""Walking protobuf graphs: every node and tensor once, names seen from where a node stands, and an order that runs."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper, parser

from verify.model.walk import (
    Cycle,
    captured,
    dependency_order,
    dims_of,
    every_node,
    fed_inputs,
    initializer_names,
    node_name,
    reads,
    tensors,
    walk_graphs,
)

# A loop whose body holds an If: the If reads x and scale from the main graph, step from the body.
NESTED = """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
g (float[2] x, int64 n, bool c) => (float[2] y) <float[2] scale = {1, 2}> {
  first = Constant<value = float[2] {1, 2}>()
  y = Loop(n, c, first) <body = b (int64 i, bool going, float[2] state) => (bool on, float[2] next) {
    on = Identity(going)
    step = Mul(state, scale)
    next = If(c) <then_branch = t () => (float[2] u) { u = Add(step, x) },
                  else_branch = e () => (float[2] x) { }>
  }>
}
<opset_import: ["" : 20], domain: "own"> f (a) => (b) { k = Constant<value = float[2] {7, 8}>() b = Add(a, k) }"""


def test_every_node_and_tensor_comes_once() -> None:
    model = parser.parse_model(NESTED)
    assert [node.op_type for node in every_node(model)] == [
        "Constant", "Loop", "Identity", "Mul", "If", "Add", "Constant", "Add",
    ]  # fmt: skip
    listed = model.graph.node[0].attribute.add(name="more", type=onnx.AttributeProto.TENSORS)
    listed.tensors.add(name="listed")
    found = [(tensor.name, list(tensor.float_data)) for tensor in tensors(model)]
    assert [name for name, _ in found].count("scale") == [name for name, _ in found].count("listed") == 1
    assert len(found) == 4
    assert [graph.name for graph in walk_graphs(model.graph)] == ["g", "b", "t", "e"]


def test_lists_of_graphs_are_walked_too() -> None:
    node = helper.make_node("Own", ["a"], ["b"], domain="own")
    inner = helper.make_graph([helper.make_node("Neg", ["q"], ["r"])], "inner", [], [])
    node.attribute.add(name="all", type=onnx.AttributeProto.GRAPHS).graphs.append(inner)
    assert reads(node) == ["a", "q"]


def test_what_a_node_reads_from_where_it_stands() -> None:
    loop = parser.parse_model(NESTED).graph.node[1]
    body = loop.attribute[0].g
    # c and scale come from around the loop; step, going and state do not. An outer tensor that a branch gives back
    # without a node (x in the else branch) is read as well.
    assert reads(loop) == ["n", "c", "first", "scale", "x"]
    assert captured(body) == ["scale", "c", "x"]
    assert reads(body.node[2]) == ["c", "step", "x"]
    assert reads(helper.make_node("Clip", ["v", "", "v"], ["w"])) == ["v"]


def test_names_of_nodes_without_a_name() -> None:
    node = helper.make_node("TopK", ["x", "k"], ["a", "i"])
    assert node_name(node) == "node_of_a"
    node.output[0] = ""
    assert node_name(node) == "node_of_i"
    del node.output[:]
    assert node_name(node) == "node_of_TopK"
    node.name = "own"
    assert node_name(node) == "own"


def test_inputs_with_an_initializer_need_not_be_fed() -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x, float[2] w, float[2] s) => (float[2] y) '
        "<float[2] w = {1, 2}> { y = Sum(x, w, s) }"
    )
    model.graph.sparse_initializer.add().values.name = "s"
    assert initializer_names(model.graph) == {"w", "s"}
    assert [value.name for value in fed_inputs(model.graph)] == ["x"]


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [(None, None), ([], []), ([2, "n", None], [2, "n", None]), ([-1, 0], [None, 0])],
)
def test_dims(shape: list[int | str | None] | None, wanted: list[int | str | None] | None) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    assert dims_of(value.type.tensor_type) == wanted


def test_dependency_order_changes_as_little_as_it_can() -> None:
    assert dependency_order([]) == []
    assert dependency_order([[], [0], [0, 1]]) == [0, 1, 2]
    assert dependency_order([[2], [], [3], []]) == [3, 2, 0, 1]
    with pytest.raises(Cycle) as found:
        dependency_order([[], [2], [1]])
    assert {found.value.first, found.value.second} == {1, 2}
    with pytest.raises(Cycle):
        dependency_order([[0]])
    assert len(dependency_order([[place + 1] for place in range(20_000)] + [[]])) == 20_001
