"""Pairs the tensors of two models, and makes models that have chosen tensors as outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from verify.compare.rounding import Lowered, round_tensors, rounded_constant
from verify.model.infer import infer_types
from verify.model.walk import node_name, reads, subgraphs, tensor_names

REPLACES = "surgeon.replaces"


@dataclass(frozen=True)
class Pair:
    """A tensor of the first model and its counterpart in the second, with the node that makes it in the first.

    by  "name", or "provenance" where surgery noted that the second model's node stands for the first's
    """

    name: str
    other: str
    node: str
    op: str
    by: str = "name"


def pairs(one: onnx.ModelProto, other: onnx.ModelProto) -> list[Pair]:
    """Tensors both models make in their main graphs, in the order of the first."""
    made = {name for node in other.graph.node for name in node.output if name}
    stands_for = dict(_provenance(other))
    found = []
    for node in one.graph.node:
        if node.op_type == "Constant":
            continue
        for position, name in enumerate(node.output):
            if name and name in made:
                found.append(Pair(name, name, node_name(node), node.op_type))
            elif name and len(stands_for.get(node_name(node), ())) > position:
                counterpart = stands_for[node_name(node)][position]
                found.append(Pair(name, counterpart, node_name(node), node.op_type, "provenance"))
    return found


def _provenance(model: onnx.ModelProto) -> Iterator[tuple[str, list[str]]]:
    """(replaced node, outputs of the last node that stands for it)."""
    for node in model.graph.node:
        for entry in node.metadata_props:
            if entry.key == REPLACES:
                yield entry.value, [name for name in node.output if name]


def fetching(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The model with exactly the tensors `names` as outputs, and only the nodes they need."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[:]
    result.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    needed, kept = set(names), []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output):
            needed.update(reads(node))
            kept.append(node)
    del result.graph.node[:]
    result.graph.node.extend(reversed(kept))
    return result


def nodes_near(model: onnx.ModelProto, name: str) -> tuple[list[str], list[str]]:
    """Tensors the maker of `name` reads, and tensors made from `name`."""
    maker = next(node for node in model.graph.node if name in node.output)
    after = [out for node in model.graph.node if name in node.input for out in node.output if out]
    return [source for source in maker.input if source], after


def first_inside(one: onnx.ModelProto, other: onnx.ModelProto, pair: Pair) -> str:
    """Where the bodies of two nodes (branches of If, bodies of Loop and Scan) are first not the same, in words.

    Names the node in the first model, or the constant; empty where the nodes have no bodies or the same ones.
    """
    nodes = [
        next((node for node in model.graph.node if name in node.output), None)
        for model, name in ((one, pair.name), (other, pair.other))
    ]
    if nodes[0] is None or nodes[1] is None:
        return ""
    return _first_in_bodies(nodes[0], nodes[1])


def _first_in_bodies(here: onnx.NodeProto, there: onnx.NodeProto) -> str:
    for (name, body), (_, counterpart) in zip(subgraphs(here), subgraphs(there), strict=False):
        constants = {tensor.name: tensor for tensor in counterpart.initializer}
        for tensor in body.initializer:
            if constants.get(tensor.name, tensor) != tensor:
                return f"constant '{tensor.name}' in {name}"
        for mine, theirs in zip(body.node, counterpart.node, strict=False):
            if mine != theirs:
                inner = _first_in_bodies(mine, theirs) if mine.op_type == theirs.op_type else ""
                found = f"{mine.op_type} '{node_name(mine)}' in {name}"
                return f"{inner} of {found}" if inner else found
        if len(body.node) != len(counterpart.node):
            return f"{name}, which has {len(body.node)} nodes and {len(counterpart.node)} there"
    return ""


def size_of(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of each tensor whose shape is known; free dims count as one."""
    model = infer_types(model)
    sizes = {}
    for value in (*model.graph.value_info, *model.graph.output):
        count = 1
        for dim in value.type.tensor_type.shape.dim:
            count *= dim.dim_value or 1
        sizes[value.name] = (
            8 * count if value.type.tensor_type.elem_type in (TensorProto.INT64, TensorProto.DOUBLE) else 4 * count
        )
    return sizes


def rounded(model: onnx.ModelProto, dtype: str) -> onnx.ModelProto:
    """The model with every float32 tensor of the main graph rounded to `dtype` ("float16", "bfloat16") and back.

    Graph inputs stay as they are. See `verify.compare.rounding`.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = infer_types(model).graph
    floats = {
        value.name
        for value in (*known.value_info, *known.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    for tensor in result.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(rounded_constant(tensor, tensor.name, dtype))
    lowered = {
        index: Lowered(dtype, frozenset(), frozenset(name for name in node.output if name in floats))
        for index, node in enumerate(result.graph.node)
    }
    round_tensors(result.graph, lowered, set(tensor_names(result.graph)))
    return result
