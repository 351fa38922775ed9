"""Walks over onnx-graphsurgeon graphs. `verify.model.walk` has those over protobuf graphs, under other names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_graphsurgeon as gs

REFERENCE = gs.Node.AttributeRef


def inner_graphs(node: gs.Node) -> list[tuple[str, gs.Graph]]:
    """The graphs inside a node (branches of If, bodies of Loop and Scan) with the attribute that holds each."""
    return [(name, value) for name, value in node.attrs.items() if isinstance(value, gs.Graph)] if node.attrs else []


def with_inner_graphs(graph: gs.Graph) -> Iterator[gs.Graph]:
    """The graph and every graph inside its nodes, at any depth; each before those inside it."""
    yield graph
    for node in graph.nodes:
        for _, inner in inner_graphs(node):
            yield from with_inner_graphs(inner)


def graphs_by_path(graph: gs.Graph, path: str = "") -> Iterator[tuple[gs.Graph, str]]:
    """The graph and every graph inside its nodes with its path: "" for the graph itself, "If_7/else_branch"."""
    yield graph, path
    for node in graph.nodes:
        for name, inner in inner_graphs(node):
            yield from graphs_by_path(inner, f"{path}/{shown_name(node)}/{name}".removeprefix("/"))


def every_graph(root: gs.Graph) -> Iterator[tuple[gs.Graph, str]]:
    """The main graph, its local functions and the graphs inside nodes, each with its path ("domain::Function/...")."""
    yield from graphs_by_path(root)
    for function in root.functions:
        yield from graphs_by_path(function, f"{function.domain}::{function.name}")


def nodes_inside(node: gs.Node) -> Iterator[gs.Node]:
    """Every node of the graphs inside `node`, at any depth."""
    for _, graph in inner_graphs(node):
        for inner in with_inner_graphs(graph):
            yield from inner.nodes


def tensors_read(node: gs.Node) -> Sequence[gs.Tensor]:
    """Tensors a node depends on: its inputs, and the inputs and outputs of all nodes and graphs inside it."""
    graphs = inner_graphs(node)
    if not graphs:
        return node.inputs  # type: ignore[no-any-return]
    inside = [inner for _, graph in graphs for inner in with_inner_graphs(graph)]
    read = [tensor for inner in inside for reader in inner.nodes for tensor in reader.inputs]
    return [*node.inputs, *(tensor for inner in inside for tensor in inner.outputs), *read]


def producer(tensor: gs.Tensor, *ops: str) -> gs.Node | None:
    """The node that makes `tensor`, else None; with `ops` only a node with one of these ONNX-domain operators.

    With `ops` a node with an attribute that the caller of a function sets counts as none: its effect is not known.
    """
    node = tensor.inputs[0] if tensor.inputs else None
    known = node is None or not ops or (node.op in ops and not node.domain and not has_reference(node))
    return node if known else None


def has_reference(node: gs.Node) -> bool:
    """Whether an attribute refers to an attribute of the function around the node, whose value is not known here."""
    for value in node.attrs.values():  # noqa: SIM110 - called so often that a generator costs time
        if isinstance(value, REFERENCE):
            return True
    return False


def shown_name(node: gs.Node) -> str:
    """The node's name; `node_of_OUTPUT`, as TensorRT calls it, where it has none."""
    return node.name or f"node_of_{next((tensor.name for tensor in node.outputs if tensor.name), node.op)}"
