"""Values of inputs that a declared static output shape tells: what trusts the shape is compared on such inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from surgery.importer import to_graph
from surgery.passes.declared_shape_operand import OPERANDS


def told(model: onnx.ModelProto, drawn: dict[str, Any]) -> dict[str, Any]:
    """`drawn` with sizes, depths, scales and masks replaced by those that give the output shapes the model declares."""
    graph = to_graph(model)
    values = dict(drawn)
    for node in graph.nodes:
        out = _static(node.outputs[0]) if node.outputs else None
        if out is None:
            continue
        for index, tensor in enumerate(node.inputs):
            if tensor.name in values and getattr(tensor, "is_input", False):
                value = _value(node, index, out, values[tensor.name])
                if value is not None:
                    values[tensor.name] = value
    return values


def as_declared(model: onnx.ModelProto, outputs: dict[str, Any]) -> bool:
    """Whether every output has the sizes the model declares for it."""
    for info in model.graph.output:
        shape = getattr(outputs.get(info.name), "shape", None)
        dims = info.type.tensor_type.shape.dim
        if shape is None or not info.type.tensor_type.HasField("shape"):
            continue
        if len(dims) != len(shape) or any(
            d.HasField("dim_value") and d.dim_value != s for d, s in zip(dims, shape, strict=True)
        ):
            return False
    return True


def _value(node: Any, index: int, out: tuple[int, ...], old: Any) -> Any:
    if node.op in OPERANDS and OPERANDS[node.op][0] == index:
        size = OPERANDS[node.op][1](node, out)
        if node.op == "AffineGrid":
            size = [out[0], 1, *out[1:-1]]
        return np.array(size, old.dtype).reshape(old.shape)
    if node.op == "Compress" and index == 1:
        axis = node.attrs.get("axis")
        count = out[0] if axis is None else out[int(axis) % len(out)]
        keep = np.zeros(old.shape, bool)
        keep[np.linspace(0, old.size - 1, count).round().astype(int)] = True
        return keep
    if node.op == "Resize" and index in (2, 3):
        shape = _static(node.inputs[0])
        axes = node.attrs.get("axes", range(len(out)))
        if shape is None or old.size != len(axes):
            return None
        return np.array([out[a] / shape[a] if index == 2 else out[a] for a in axes], old.dtype)
    return None


def _static(tensor: Any) -> tuple[int, ...] | None:
    shape = tensor.shape
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    return tuple(shape)
