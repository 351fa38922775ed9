"""Walks over ONNX protobuf graphs: the nodes and the graphs inside them, what they read, their names and dims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

Operator = tuple[str, str, frozenset[str]]  # a node's operator, its domain, and the names of its attributes


def subgraphs(node: onnx.NodeProto) -> list[tuple[str, onnx.GraphProto]]:
    """The graphs inside a node (branches of If, bodies of Loop and Scan) with the attribute that holds each."""
    found = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append((attribute.name, attribute.g))
        if attribute.graphs:
            found += [(attribute.name, graph) for graph in attribute.graphs]
    return found


def walk_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every graph inside its nodes, at any depth; each before those inside it."""
    yield graph
    for node in graph.node:
        for _, inner in subgraphs(node):
            yield from walk_graphs(inner)


def walk_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and every node of the graphs inside them, at any depth; each before those inside it."""
    for node in nodes:
        yield node
        for _, graph in subgraphs(node):
            yield from walk_nodes(graph.node)


def every_node(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the model: of the main graph, of its function bodies and of the graphs inside nodes."""
    yield from walk_nodes(model.graph.node)
    for function in model.functions:
        yield from walk_nodes(function.node)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every initializer and tensor attribute of the model, also in graphs inside nodes and in function bodies."""
    yield from _tensors(model.graph)
    for function in model.functions:
        yield from _tensors(function)


def is_larger(tensor: onnx.TensorProto, size: int) -> bool:
    """Whether the message takes more than `size` bytes; protobuf writes a whole tensor to measure it."""
    return (tensor.HasField("raw_data") and len(tensor.raw_data) > size) or bool(tensor.ByteSize() > size)


def _tensors(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.TensorProto]:
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for _, inner in subgraphs(node):
            yield from _tensors(inner)


def reads(node: onnx.NodeProto) -> list[str]:
    """Names of the tensors a node reads, each once: its inputs, and what graphs inside it take from around them."""
    found = dict.fromkeys(name for name in node.input if name)
    for _, graph in subgraphs(node):
        found |= dict.fromkeys(captured(graph))
    return list(found)


def captured(graph: onnx.GraphProto) -> list[str]:
    """Names a graph inside a node reads, or has as outputs, without defining them; each once."""
    own = {value.name for value in graph.input} | initializer_names(graph)
    own |= {name for node in graph.node for name in node.output}
    found = dict.fromkeys(name for node in graph.node for name in reads(node))
    found |= dict.fromkeys(value.name for value in graph.output)
    return [name for name in found if name not in own]


def tensor_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Every tensor name that a graph or a graph inside it uses."""
    for inner in walk_graphs(graph):
        yield from initializer_names(inner)
        yield from (value.name for value in (*inner.input, *inner.output))
        yield from (name for node in inner.node for name in (*node.input, *node.output))


def node_name(node: onnx.NodeProto) -> str:
    """The node's name; `node_of_OUTPUT`, as TensorRT calls it, where the file leaves the name blank."""
    return node.name or f"node_of_{next((name for name in node.output if name), node.op_type)}"


def initializer_names(graph: onnx.GraphProto) -> set[str]:
    """Names of the initializers of this graph, sparse ones included."""
    return {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}


def fed_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Graph inputs that a caller must feed: those without an initializer."""
    stored = initializer_names(graph)
    return [value for value in graph.input if value.name not in stored]


def domain_of(domain: str | None) -> str:
    """An operator's domain; "" for ONNX's own operators, which files may also spell "ai.onnx"."""
    return "" if domain in (None, "", "ai.onnx") else domain


def op_of(node: onnx.NodeProto) -> str:
    """The node's operator, with its domain where that is not ONNX's own."""
    domain = domain_of(node.domain)
    return f"{domain}::{node.op_type}" if domain else str(node.op_type)


def operators(graph: onnx.GraphProto) -> set[Operator]:
    """The operators of the nodes of a graph and of the graphs inside it."""
    return {
        (node.op_type, domain_of(node.domain), frozenset(attribute.name for attribute in node.attribute))
        for node in walk_nodes(graph.node)
    }


def opsets_of(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """The version of each imported domain, "" for ONNX's own."""
    return {domain_of(entry.domain): entry.version for entry in imports}


def dims_of(tensor_type: Any) -> list[int | str | None] | None:
    """Dims of a TypeProto.Tensor: a number, a name, or None for a free dim without one; None for an unknown rank."""
    if not tensor_type.HasField("shape"):
        return None
    dims = tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else d.dim_param or None for d in dims]


class Cycle(ValueError):
    """Items that need each other in a circle; `first` and `second` are the places of two of them."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second} need each other")
        self.first, self.second = first, second


def dependency_order(needs: Sequence[Iterable[int]]) -> list[int]:
    """The places 0, 1, ... in an order close to that one in which each comes after the places it needs.

    Args:
        needs: for each place, the places that must come before it.

    Raises:
        Cycle: some need each other.
    """
    done: set[int] = set()
    active: set[int] = set()
    order: list[int] = []
    for first in range(len(needs)):
        stack = [] if first in done else [(first, iter(needs[first]))]
        active.update(place for place, _ in stack)
        while stack:
            place, waiting = stack[-1]
            needed = next((other for other in waiting if other not in done), None)
            if needed is None:
                stack.pop()
                done.add(place)
                order.append(place)
            elif needed in active:
                raise Cycle(place, needed)
            else:
                active.add(needed)
                stack.append((needed, iter(needs[needed])))
    return order
