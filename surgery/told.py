"""Values of inputs that a declared static output shape tells: what trusts the shape is compared on such inputs."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import onnx

from surgery.graph.read import to_graph
from surgery.passes.declared_shape_operand import OPERANDS
from surgery.passes.tensorrt.overlapping_patches import fitting

Shape = tuple[int, ...]


def told(model: onnx.ModelProto, drawn: dict[str, Any]) -> dict[str, Any]:
    """`drawn` with sizes, depths, scales and masks replaced by those that give the output shapes the model declares."""
    values = dict(drawn)
    for node in to_graph(model).nodes:
        out = _static(node.outputs[0]) if node.outputs else None
        if out is None:
            continue
        given = [_given(tensor, values) for tensor in node.inputs]
        for index, value in TELLERS.get(node.op, operand)(node, out, given).items():
            if index < len(given) and given[index] is not None:
                tensor = node.inputs[index]
                values[tensor.name] = np.asarray(value).astype(values[tensor.name].dtype)
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


def operand(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """A size or a depth that is an input of its own."""
    if node.op not in OPERANDS:
        return {}
    index, read = OPERANDS[node.op]
    if index >= len(given) or given[index] is None:
        return {}
    return {index: np.array(read(node, out)).reshape(given[index].shape)}


def columns(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """The image of Col2Im, and one of the blocks that fit."""
    found = operand(node, out, given)
    shape = _static(node.inputs[0])
    blocks = fitting(node, shape, out) if shape is not None else []
    if blocks and given[2] is not None:
        found[2] = np.array(blocks[int(np.abs(given[2]).sum()) % len(blocks)])
    return found


def kept(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """The mask of Compress."""
    if given[1] is None:
        return {}
    axis = node.attrs.get("axis")
    count = out[0] if axis is None else out[int(axis) % len(out)]
    keep = np.zeros(given[1].shape, bool)
    keep[np.linspace(0, given[1].size - 1, count).round().astype(int)] = True
    return {1: keep}


def resized(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """Scales or sizes of Resize."""
    shape, found = _static(node.inputs[0]), {}
    axes = node.attrs.get("axes", range(len(out)))
    for index in (2, 3):
        if index < len(given) and given[index] is not None and shape is not None and given[index].size == len(axes):
            found[index] = np.array([out[a] / shape[a] if index == 2 else out[a] for a in axes])
    return found


def transformed(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """The axis and the length of DFT."""
    shape = _static(node.inputs[0])
    if shape is None or len(shape) != len(out):
        return {}
    inverse, half = bool(node.attrs.get("inverse", 0)), bool(node.attrs.get("onesided", 0))
    changed = [axis for axis in range(len(out) - 1) if out[axis] != shape[axis]]
    length = given[1] if len(given) > 1 else None
    axis = given[2] if len(given) > 2 else None
    found: dict[int, Any] = {}
    if axis is not None and len(changed) == 1:
        found[2] = np.array(changed[0]).reshape(axis.shape)
    at = changed[0] if changed else int(node.attrs.get("axis", 1))
    if length is not None and (inverse or not half):
        found[1] = np.array(out[at]).reshape(length.shape)
    return found


def survivors(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """Boxes in heaps far from each other, and scores and limits with which as many survive as declared.

    With as many heaps as boxes survive of each class, one of a heap survives; else scores below the threshold tell.
    """
    shape = _static(node.inputs[1])
    if shape is None or not out[0] or any(value is None for value in given[:2]):
        return {}
    rows, number = shape[0] * shape[1], shape[2]
    most = ceil(out[0] / rows)
    if most > number or given[0].ndim != 3 or given[0].shape[2] != 4:
        return {}
    draw = np.random.default_rng(abs(int(given[1].sum() * 1e3)) % 2**32)
    heap = np.stack([draw.permutation(np.arange(number) % most) for _ in range(shape[0])])
    boxes = np.abs(given[0]) % 0.1
    if node.attrs.get("center_point_box", 0):
        boxes = boxes + np.array([0, 0, 2, 2]) + 10 * heap[..., None] * np.array([1, 1, 0, 0])
    else:
        boxes = boxes + np.array([0, 0, 2, 2]) + 10 * heap[..., None]
    scores = 0.2 + 0.7 / (1 + np.exp(-np.clip(given[1].astype(np.float64), -9, 9)))
    short = rows * most - out[0]  # classes that give one less than the others
    for row in range(short):
        image, kind = divmod(row, shape[1])
        scores[image, kind, heap[image] == heap[image, -1]] = -1.0
    return {0: boxes, 1: scores, 2: np.full(np.shape(given[2]), most), 3: _like(given, 3, 0.5), 4: _like(given, 4, 0.0)}


def counted(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """Start, limit and step of Range: the limit half a step before the element that would follow."""
    if len(given) != 3 or any(value is None or value.dtype.kind != "f" for value in given):
        return {}
    step = np.where(np.abs(given[2]) < 0.25, 0.5, given[2])
    return {1: given[0] + step * (out[0] - 0.5), 2: step}


def places(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """As many elements of NonZero that are not zero as declared."""
    if given[0] is None or given[0].size < out[-1]:
        return {}
    chosen = np.random.default_rng(abs(int(given[0].sum())) % 2**32).permutation(given[0].size) < out[-1]
    return {0: np.where(chosen.reshape(given[0].shape), np.where(given[0] == 0, 1, given[0]), 0)}


def turns(node: Any, out: Shape, given: list[Any]) -> dict[int, Any]:
    """Trip count and first condition of a Loop that collects something."""
    shapes = [_static(tensor) for tensor in node.outputs[len(given) - 2 :]]
    count = next((shape[0] for shape in shapes if shape), None)
    if count is None:
        return {}
    return {place: np.full(np.shape(given[place]), value) for place, value in enumerate((count, True))}


TELLERS: dict[str, Callable[[Any, Shape, list[Any]], dict[int, Any]]] = {
    "Col2Im": columns,
    "Compress": kept,
    "DFT": transformed,
    "Loop": turns,
    "NonMaxSuppression": survivors,
    "NonZero": places,
    "Range": counted,
    "Resize": resized,
}


def _like(given: list[Any], index: int, value: float) -> Any:
    return np.full(np.shape(given[index]) if index < len(given) else (), value)


def _given(tensor: Any, values: dict[str, Any]) -> Any:
    """What was drawn for an input of the model, or the value of a constant, else None."""
    if tensor.name in values and getattr(tensor, "is_input", False):
        return values[tensor.name]
    return None


def _static(tensor: Any) -> Shape | None:
    shape = tensor.shape
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    return tuple(shape)
