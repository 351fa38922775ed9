"""A model in half precision as a float32 model in which every half-precision tensor is rounded, whoever converted it.

onnxruntime's CPU kernels skip the rounding between two float16 nodes, so values that overflow on a GPU pass there; it
has no kernels at all for most operators in bfloat16. The float32 model runs everywhere and computes what a GPU does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from verify.compare.rounding import free_name, rounding
from verify.model.infer import infer_types
from verify.model.walk import subgraphs, tensor_names

HALF = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
# What these make is rounded already where they read it.
MOVES = frozenset(
    {
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every half-precision tensor is float32 and is rounded where a node computes it.

    Inputs and outputs of the graph become float32 where they are in half precision.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _widen(copy.graph, infer_types(model).graph, {}, set(tensor_names(copy.graph)))
    return copy


def float32_nodes(model: onnx.ModelProto) -> int:
    """Number of nodes that make float32 values, Casts and constants left out."""
    return _count(infer_types(model).graph, {})


def _count(graph: onnx.GraphProto, outer: Mapping[str, int]) -> int:
    types = _types(graph, outer)
    inner = sum(_count(body, types) for node in graph.node for _, body in subgraphs(node))
    computing = [node for node in graph.node if node.op_type not in ("Cast", "Constant")]
    return inner + sum(any(types.get(name) == TensorProto.FLOAT for name in node.output) for node in computing)


def _types(graph: onnx.GraphProto, outer: Mapping[str, int]) -> dict[str, int]:
    """ONNX element type of every tensor that a graph of inferred types sees, 0 where it is not known."""
    values = (*graph.input, *graph.value_info, *graph.output)
    own = {value.name: value.type.tensor_type.elem_type for value in values}
    return {**outer, **own, **{tensor.name: tensor.data_type for tensor in graph.initializer}}


def _widen(graph: onnx.GraphProto, inferred: onnx.GraphProto, outer: Mapping[str, int], taken: set[str]) -> None:
    types = _types(inferred, outer)
    for index, tensor in enumerate(graph.initializer):
        if tensor.data_type in HALF:
            graph.initializer[index].CopyFrom(_widened(tensor))
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in HALF:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    nodes: list[onnx.NodeProto] = []
    for old, known in zip(graph.node, inferred.node, strict=True):
        node = onnx.NodeProto()
        node.CopyFrom(old)
        _widen_attributes(node)
        bodies = list(zip(subgraphs(node), subgraphs(known), strict=True))
        for (_, body), (_, typed) in bodies:
            _widen(body, typed, types, taken)
        after: list[onnx.NodeProto] = []
        for place, name in enumerate(node.output):
            if types.get(name) in HALF and node.op_type not in MOVES and not bodies:
                node.output[place] = free_name(f"{name}__exact", taken)
                after += rounding(node.output[place], name, HALF[types[name]], taken)
        nodes += [node, *after]
    del graph.node[:]
    graph.node.extend(nodes)


def _widen_attributes(node: onnx.NodeProto) -> None:
    """Types and constants of half precision in the attributes of a node, in float32."""
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i in HALF:
            attribute.i = TensorProto.FLOAT
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in HALF:
            attribute.t.CopyFrom(_widened(attribute.t))


def _widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
