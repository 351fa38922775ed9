"""Refusals inside the bodies of If, Loop and Scan: each body is parsed as a model of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx

from surgery.diagnose.model_view import ModelView, Types
from surgery.diagnose.rules.reasons import explain
from surgery.diagnose.search.submodel import known
from surgery.targets.graph_facts import types_of
from verify.model.walk import captured, node_name, subgraphs

BRANCH = re.compile(r"\((\w+)\)$")


def body_models(view: ModelView, index: int) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Every body of the main-graph node `index` as a model, with its path ("If_7/else_branch"), outer ones first.

    What a body takes from the graphs around it becomes an input, or an initializer where it is one. Bodies with an
    input of unknown type are left out.
    """
    node = view.inferred.graph.node[index] if index < len(view.inferred.graph.node) else view.nodes[index]
    yield from _bodies(node, node_name(node), view.model, view.types, dict(view.initializers))


def _bodies(
    node: onnx.NodeProto, path: str, model: onnx.ModelProto, types: Types, constants: dict[str, onnx.TensorProto]
) -> Iterator[tuple[str, onnx.ModelProto]]:
    for attribute, graph in subgraphs(node):
        here = f"{path}/{attribute}"
        inner = {**types, **types_of(graph)}
        held = {**constants, **{tensor.name: tensor for tensor in graph.initializer}}
        alone = _standalone(graph, model, inner, held)
        if alone is not None:
            yield here, alone
        for deeper in graph.node:
            yield from _bodies(deeper, f"{here}/{node_name(deeper)}", model, inner, held)


def _standalone(
    graph: onnx.GraphProto, model: onnx.ModelProto, types: Types, constants: dict[str, onnx.TensorProto]
) -> onnx.ModelProto | None:
    result = onnx.ModelProto(ir_version=model.ir_version)
    result.opset_import.extend(model.opset_import)
    result.functions.extend(model.functions)
    result.graph.CopyFrom(graph)
    for name in captured(graph):
        if name in constants:
            result.graph.initializer.append(constants[name])
        elif known(name, types):
            result.graph.input.append(onnx.ValueInfoProto(name=name, type=types[name]))
        else:
            return None
    for value in result.graph.input:
        if not value.type.tensor_type.HasField("shape") and known(value.name, types):
            value.type.CopyFrom(types[value.name])
    return result


def named_inside(node: onnx.NodeProto, message: str) -> tuple[str, onnx.NodeProto] | None:
    """The node in the bodies of `node` that the builder's message names, with its path; the longest name counts.

    None where the message means something of its own for `node`: then the body is not at fault.
    """
    if explain(message, node.op_type, stage="builder") != explain(message, "", stage="builder"):
        return None
    found = [(path, inner) for path, inner in _inner_nodes(node, node_name(node)) if names(message, inner)]
    return max(found, key=lambda place: len(node_name(place[1])), default=None)


def names(message: str, node: onnx.NodeProto) -> bool:
    """Whether TensorRT's message names the node, or a layer of it: layers of one node are numbered, as in "conv_7"."""
    name = node_name(node)
    return name in message and bool(re.search(rf"(?<![\w/.]){re.escape(name)}(?:_\d+)?(?![\w/.])", message))


def _inner_nodes(node: onnx.NodeProto, path: str) -> Iterator[tuple[str, onnx.NodeProto]]:
    for attribute, graph in subgraphs(node):
        for inner in graph.node:
            yield f"{path}/{attribute}", inner
            yield from _inner_nodes(inner, f"{path}/{attribute}/{node_name(inner)}")


def path_of(node: onnx.NodeProto, stack: tuple[str, ...]) -> str:
    """The way from a main-graph node to the refused one as TensorRT's stack tells it: "If_7/else_branch"."""
    steps = [found[1] for found in map(BRANCH.search, stack) if found and not found[1][0].isupper()]
    return "/".join([node_name(node), *steps])


def write(model: onnx.ModelProto, folder: Path) -> Path:
    """Put a body's model beside the weights it may refer to."""
    path = folder / "body.onnx"
    path.write_bytes(model.SerializeToString())
    return path
