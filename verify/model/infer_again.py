"""ONNX's inference with its known mistakes taken out: the nodes it gets wrong have declared types instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx.helper import get_attribute_value, make_tensor_type_proto
from onnx.numpy_helper import to_array

from verify.model.negative_sizes import HIDDEN, hide, import_hidden
from verify.model.walk import opsets_of, reads, subgraphs, walk_graphs, walk_nodes
from verify.model.wrong_shapes import CHECKS, known_outputs

ROUNDS = 64  # each corrects what depends on no other wrong type, so that a chain of wrong ones takes a round for each


def without_mistakes(model: onnx.ModelProto, infer: Callable[[onnx.ModelProto], onnx.ModelProto]) -> onnx.ModelProto:
    """The model with inferred types, where ONNX's mistakes and all that follows from them are taken out.

    Declared shapes of tensors that depend on a wrong one are dropped, because other tools wrote them with the same
    inference.
    """
    inferred = infer(model)
    if not any(node.op_type in CHECKS for node in walk_nodes(model.graph.node)):
        return inferred
    hidden: set[str] = set()
    for _ in range(ROUNDS):
        wrong = {name: known for name, known in _wrong_types(inferred).items() if name not in hidden}
        if not wrong:
            break
        first: set[str] = set()
        _add_independent(inferred.graph, wrong, set(), first)
        wrong = {name: wrong[name] for name in first}
        if not hidden:
            copy = onnx.ModelProto()
            copy.CopyFrom(model)
            model = copy
        _hide(model, wrong)
        hidden |= set(wrong)
        inferred = infer(model)
    if any(entry.domain.startswith(HIDDEN) for entry in inferred.opset_import):
        for node in walk_nodes(inferred.graph.node):
            node.domain = node.domain.removeprefix(HIDDEN)
    return inferred


def _wrong_types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Tensors whose inferred type may be wrong, with the type that is known.

    The result of an If is corrected in its branches, because that is where ONNX takes it from.
    """
    opset = opsets_of(model.opset_import).get("", 1)
    constants = _operands(model)
    found: dict[str, onnx.TypeProto] = {}
    for graph, types in _scopes(model.graph, {}):
        for node in graph.node:
            known = known_outputs(node, types, constants, opset)
            for _, branch in subgraphs(node) if node.op_type == "If" else ():
                pairs = zip(node.output, branch.output, strict=False)
                found |= {value.name: known[name] for name, value in pairs if name in known}
            found |= known if node.op_type != "If" else {}
    return found


def _add_independent(graph: onnx.GraphProto, wrong: Collection[str], dependent: set[str], found: set[str]) -> None:
    """Add those of the wrong tensors whose inferred type depends on no other wrong one to `found`.

    Args:
        dependent: tensors that depend on wrong ones; grows.
    """
    for node in graph.node:
        bodies = [body for _, body in subgraphs(node)]
        outputs = [name for name in node.output if name]
        if not dependent.isdisjoint(reads(node)):
            dependent.update(outputs)
            dependent.update(
                name for inner in walk_nodes(node for body in bodies for node in body.node) for name in inner.output
            )
            continue
        for body in bodies:
            _add_independent(body, wrong, dependent, found)
        mine = [name for name in outputs if name in wrong]
        found.update(mine)
        if mine or any(value.name in dependent for body in bodies for value in body.output):
            dependent.update(outputs)


def _operands(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The fixed operands of the Slice nodes, by name."""
    wanted = {name for node in walk_nodes(model.graph.node) if node.op_type == "Slice" for name in node.input[1:]}
    if not wanted:
        return {}
    stored: dict[str, Any] = {t.name: t for graph in walk_graphs(model.graph) for t in graph.initializer}
    for node in walk_nodes(model.graph.node):
        for attribute in node.attribute if node.op_type == "Constant" else ():
            stored |= dict.fromkeys(node.output, get_attribute_value(attribute))
    found = {}
    for name in wanted & set(stored):
        value = stored[name]
        try:
            found[name] = to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
        except Exception:  # a tensor whose bytes do not fit its shape, or that lies in another file
            continue
    return found


def _scopes(
    graph: onnx.GraphProto, outer: Mapping[str, onnx.TypeProto]
) -> Iterator[tuple[onnx.GraphProto, Mapping[str, onnx.TypeProto]]]:
    """Every graph with the types that its nodes see."""
    types = {t.name: make_tensor_type_proto(t.data_type, t.dims) for t in graph.initializer}
    types |= {value.name: value.type for value in (*graph.value_info, *graph.output, *graph.input)}
    types = {**outer, **types}
    yield graph, types
    for node in graph.node:
        for _, inner in subgraphs(node):
            yield from _scopes(inner, types)


def _hide(model: onnx.ModelProto, wrong: Mapping[str, onnx.TypeProto]) -> None:
    """Hide the nodes that make these tensors from inference, and declare the types that are known in their place."""
    for graph in walk_graphs(model.graph):
        declared = {value.name: value for value in (*graph.value_info, *graph.output)}
        for node in graph.node:
            made = [name for name in node.output if name in wrong]
            if not made:
                continue
            hide(node)
            for name in made:
                info = declared.get(name) or graph.value_info.add(name=name)
                info.type.CopyFrom(wrong[name])
    import_hidden(model)
    dependent = set(wrong)
    _add_dependent(model.graph, dependent)
    for place, graph in enumerate(walk_graphs(model.graph)):
        for value in (*graph.value_info, *((*graph.input, *graph.output) if place else ())):
            if value.name in dependent and value.name not in wrong and value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")


def _add_dependent(graph: onnx.GraphProto, names: set[str]) -> None:
    """Add the tensors that depend on tensors of these names, in this graph and the graphs inside it."""
    for node in graph.node:
        bodies = [body for _, body in subgraphs(node)]
        for body in bodies:
            _add_dependent(body, names)
        inside = any(value.name in names for body in bodies for value in body.output)
        if inside or not names.isdisjoint(reads(node)):
            names.update(name for name in node.output if name)
            for body in bodies:
                names.update(value.name for value in body.input)
                _add_dependent(body, names)
