"""Cuts a part out of a model: the nodes between given inputs and given outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from surgery.diagnose.model_view import ModelView, Types
from surgery.diagnose.search.submodel import known
from verify.errors import SurgeonError, did_you_mean
from verify.model.walk import initializer_names, reads


@dataclass(frozen=True)
class Cut:
    """A part of a model.

    nodes    places of its nodes in the main graph, in order
    inputs   names of its inputs: those asked for, then `added`
    outputs  names of its outputs
    stored   names of the initializers it reads
    added    inputs of the model that the part needs, though nobody asked for them
    """

    nodes: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stored: frozenset[str]
    added: tuple[str, ...]


def find_cut(view: ModelView, path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Cut:
    """The nodes of the main graph that `outputs` need, up to `inputs`.

    Args:
        inputs: those of the model when empty.
        outputs: those of the model when empty.

    Raises:
        SurgeonError: no such tensor, an input that no output needs, or an output that is no result of a node.
    """
    graph = view.model.graph
    stored = initializer_names(graph)
    given = [value.name for value in graph.input]
    wanted = tuple(dict.fromkeys(outputs or (value.name for value in graph.output)))
    starts = tuple(dict.fromkeys(inputs))
    for name in (*starts, *wanted):
        if name not in view.made_by and name not in stored and name not in given:
            raise SurgeonError(f"{path} has no tensor '{name}'{_close(name, [*view.made_by, *given])}")
    for name in wanted:
        if name not in view.made_by or name in starts:
            raise SurgeonError(f"{path}: '{name}' cannot be an output of the part: no node of the part makes it")
    nodes, read = _needed(view, starts, wanted)
    for name in starts:
        if name not in read:
            raise SurgeonError(f"{path}: none of the outputs {', '.join(wanted)} needs the input '{name}'")
    kept = {name for name in read if name in stored and name not in starts}
    added = tuple(name for name in given if name in read and name not in starts and name not in stored)
    for name in read - set(starts) - kept - set(added):
        if name not in view.made_by:
            raise SurgeonError(f"{path}: a node reads '{name}', which nothing in the model makes")
    return Cut(tuple(sorted(nodes)), (*starts, *added), wanted, frozenset(kept), added)


def _needed(view: ModelView, starts: Sequence[str], wanted: Sequence[str]) -> tuple[set[int], set[str]]:
    """Nodes that make `wanted` from `starts`, and every tensor that they read."""
    nodes, read, todo = set[int](), set[str](), [view.made_by[name] for name in wanted]
    while todo:
        place = todo.pop()
        if place in nodes:
            continue
        nodes.add(place)
        for name in reads(view.nodes[place]):
            read.add(name)
            if name not in starts and name in view.made_by:
                todo.append(view.made_by[name])
    return nodes, read


def _close(name: str, known_names: Sequence[str]) -> str:
    return did_you_mean(name, known_names, 0.5) or "; surgeon inspect lists its inputs and outputs"


def as_model(view: ModelView, found: Cut, values: Mapping[str, Any]) -> onnx.ModelProto:
    """The part as a model.

    Args:
        values: what tensors held in a run of the whole model, for types that ONNX cannot infer; may be empty.

    Raises:
        SurgeonError: the type of an input or output is not known.
    """
    model = view.model
    part = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    part.opset_import.extend(model.opset_import)
    part.functions.extend(model.functions)
    part.graph.name = model.graph.name or "part"
    part.graph.node.extend(view.nodes[place] for place in found.nodes)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in found.stored)
    part.graph.sparse_initializer.extend(
        tensor for tensor in model.graph.sparse_initializer if tensor.values.name in found.stored
    )
    made = {name for place in found.nodes for name in view.nodes[place].output} - set(found.outputs)
    part.graph.value_info.extend(value for value in model.graph.value_info if value.name in made)
    part.graph.input.extend(_port(name, view.types, values) for name in found.inputs)
    part.graph.output.extend(_port(name, view.types, values) for name in found.outputs)
    return part


def _port(name: str, types: Types, values: Mapping[str, Any]) -> onnx.ValueInfoProto:
    port = onnx.ValueInfoProto(name=name)
    kind = types.get(name)
    if known(name, types) or (kind is not None and not kind.HasField("tensor_type")):
        port.type.CopyFrom(types[name])
    elif name in values and isinstance(values[name], np.ndarray):
        number = onnx.helper.np_dtype_to_tensor_dtype(values[name].dtype)
        dims = [f"{name}_{axis}" for axis in range(values[name].ndim)]
        port.type.CopyFrom(onnx.helper.make_tensor_type_proto(number, dims))
    else:
        raise SurgeonError(
            f"the type of '{name}' is not known, and the model could not be run to find it; choose another tensor"
        )
    return port
