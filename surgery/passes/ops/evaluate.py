"""Values of constant expressions, computed by onnxruntime, or by onnx.reference where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import numpy_helper

from surgery.graph.write import to_fragment
from surgery.pipeline.context import Context
from verify.run.saturation import may_saturate, without_saturation
from verify.run.session import open_session

SECONDS = 20.0


def evaluate(nodes: Sequence[gs.Node], wanted: Sequence[gs.Tensor], opsets: dict[str, int]) -> dict[int, np.ndarray]:
    """Values of the tensors `wanted` by id; those that cannot be computed are missing.

    Args:
        nodes: in graph order; they depend on constants only. They run once for all tensors, and when that fails once
            for each tensor.
    """
    found = _computed(list(nodes), list(wanted), opsets)
    if found is not None:
        return found
    values: dict[int, np.ndarray] = {}
    inside = {id(node): place for place, node in enumerate(nodes)}
    for tensor in wanted if len(wanted) > 1 else ():
        values.update(_computed(nodes_behind(inside, tensor), [tensor], opsets) or {})
    return values


def nodes_behind(inside: Mapping[int, int], tensor: gs.Tensor) -> list[gs.Node]:
    """The nodes that `tensor` depends on among those in `inside` (position in the graph by id), in graph order.

    A Shape of known dims depends on no node.
    """
    found: dict[int, gs.Node] = {}
    todo = [tensor]
    while todo:
        for maker in todo.pop().inputs:
            if id(maker) in inside and id(maker) not in found:
                found[id(maker)] = maker
                todo += maker.inputs if shape_value(maker) is None else []
    return sorted(found.values(), key=lambda node: inside[id(node)])


def shape_value(node: gs.Node) -> np.ndarray | None:
    """The result of a Shape node whose input has known dims only, else None."""
    dims = Context.static_shape(node.inputs[0]) if node.op == "Shape" and not node.domain and node.inputs else None
    first, last = node.attrs.get("start", 0), node.attrs.get("end")
    return None if dims is None else np.asarray(dims[first:last], dtype=np.int64)


def _computed(nodes: list[gs.Node], wanted: list[gs.Tensor], opsets: dict[str, int]) -> dict[int, Any] | None:
    model = to_fragment(nodes, wanted, opsets)
    for node, proto in zip(nodes, model.graph.node, strict=False):
        value = shape_value(node)
        if value is not None:
            proto.CopyFrom(onnx.helper.make_node("Constant", [], [*proto.output], value=numpy_helper.from_array(value)))
    # Some processors' kernels of uint8 by int8 overflow, and would do so in the stored numbers then.
    session = open_session(without_saturation(model) if may_saturate(model) else model)
    run = session.run({}, timeout=SECONDS)
    if run.error:
        return None
    values = [run.outputs[str(index)] for index in range(len(wanted))]
    if not all(isinstance(value, np.ndarray) for value in values):
        return None
    return {id(tensor): value for tensor, value in zip(wanted, values, strict=True)}
