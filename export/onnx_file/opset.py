"""Write an opset 18 model in opset 17: torch's exporter writes 18 at least, NVIDIA's exporter writes 17.

Only the operators that the exported modules hold and that changed in opset 18 are rewritten. ONNX's version converter
is not used because it drops the metadata of nodes, which name the line of Python code a node came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import numpy_helper

from surgery.graph.schemas import schema
from verify.errors import SurgeonError

# Attributes that are new in opset 18, each with the value that gives the behaviour of opset 17.
NEW_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
    "ReduceMax": {"noop_with_empty_axes": 0},
    "Split": {"num_outputs": None},  # opset 17 splits into as many equal parts as the node has outputs
}


def to_opset_17(model: onnx.ModelProto) -> None:
    """Rewrite an opset 18 model in place. SurgeonError where an operator has no equal form in opset 17."""
    rewrites = {"ReduceMax": _axes_to_attribute, "Split": _keep, "Pad": _no_axes, "Resize": _keep}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        new, old = schema(node.op_type, "", 18), schema(node.op_type, "", 17)
        if new is not None and old is not None and new.since_version == old.since_version:
            continue
        if node.op_type not in rewrites:
            raise SurgeonError(f"opset 17 has no equal form of {node.op_type} (node {node.name!r}); choose --opset 18")
        rewrites[node.op_type](node, stored)
        _drop_attributes(node)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = 17
    _remove_unread(model)
    onnx.checker.check_model(model, full_check=True)


Rewrite = Callable[[onnx.NodeProto, dict[str, onnx.TensorProto]], None]


def _keep(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> None:
    """The inputs are the same in both opsets."""


def _axes_to_attribute(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> None:
    if len(node.input) < 2 or not node.input[1]:
        return
    if node.input[1] not in stored:
        raise SurgeonError(f"opset 17 wants constant axes for {node.op_type} (node {node.name!r}); choose --opset 18")
    axes = numpy_helper.to_array(stored[node.input[1]]).ravel().tolist()
    del node.input[1:]
    node.attribute.append(onnx.helper.make_attribute("axes", axes))


def _no_axes(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> None:
    if len(node.input) > 3 and node.input[3]:
        raise SurgeonError(f"opset 17 has no axes for {node.op_type} (node {node.name!r}); choose --opset 18")
    del node.input[3:]


def _drop_attributes(node: onnx.NodeProto) -> None:
    known = NEW_ATTRIBUTES.get(node.op_type, {})
    for attribute in [attribute for attribute in node.attribute if attribute.name in known]:
        value = onnx.helper.get_attribute_value(attribute)
        if known[attribute.name] not in (None, value):
            raise SurgeonError(
                f"opset 17 has no {attribute.name} for {node.op_type} (node {node.name!r}); choose --opset 18"
            )
        node.attribute.remove(attribute)


def _remove_unread(model: onnx.ModelProto) -> None:
    """Remove the initializers that only the rewritten nodes read."""
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in read]:
        model.graph.initializer.remove(tensor)
