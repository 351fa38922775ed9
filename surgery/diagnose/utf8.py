"""Refuses files with names that are not UTF-8 text, because the diagnosis needs names as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from verify.errors import SurgeonError
from verify.model.walk import subgraphs


def require_text(model: onnx.ModelProto, path: str) -> None:
    """Raise SurgeonError where a name, operator or domain is not UTF-8: protobuf hands those out as bytes."""
    try:
        damaged = any(not isinstance(text, str) for text in _texts(model))
    except UnicodeDecodeError:
        damaged = True
    if damaged:
        raise SurgeonError(f"{path}: damaged: a name in it is not UTF-8 text; fetch or export it again")


def _texts(model: onnx.ModelProto) -> Iterator[Any]:
    yield model.producer_name
    yield from (entry.domain for entry in model.opset_import)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from _of_nodes(function.node)
    yield from _of_graph(model.graph)


def _of_graph(graph: onnx.GraphProto) -> Iterator[Any]:
    yield graph.name
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in graph.initializer)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))
        for _, graph in subgraphs(node):
            yield from _of_graph(graph)
