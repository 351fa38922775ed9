"""Makes a model ready for the choice of precision: all types known, constants in one place, nodes in order."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from surgery.precision.candidates import FLOAT
from verify.model.infer import infer_types
from verify.model.walk import Cycle, dependency_order, reads, walk_graphs


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with inferred types, float Constant nodes as initializers, and nodes sorted by dependency."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _hoist_constants(copy.graph)
    _sort(copy.graph)
    inferred = infer_types(copy)
    for ours, theirs in zip(walk_graphs(copy.graph), walk_graphs(inferred.graph), strict=True):
        declared = {value.name for value in (*ours.input, *ours.output, *ours.value_info)}
        ours.value_info.extend(value for value in theirs.value_info if value.name not in declared)
    return copy


def _hoist_constants(graph: onnx.GraphProto) -> None:
    for inner in walk_graphs(graph):
        kept = []
        outputs = {value.name for value in inner.output}
        for node in inner.node:
            value = (
                next((a.t for a in node.attribute if a.name == "value"), None) if node.op_type == "Constant" else None
            )
            if value is not None and value.data_type == FLOAT and node.output[0] not in outputs:
                inner.initializer.append(numpy_helper.from_array(numpy_helper.to_array(value), node.output[0]))
            else:
                kept.append(node)
        if len(kept) < len(inner.node):
            del inner.node[:]
            inner.node.extend(kept)


def _sort(graph: onnx.GraphProto) -> None:
    """Put the nodes of the main graph after those they read from; a graph with a cycle is left as it is."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    try:
        order = dependency_order([[makers[n] for n in reads(node) if n in makers] for node in graph.node])
    except Cycle:
        return
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes[index] for index in order)
