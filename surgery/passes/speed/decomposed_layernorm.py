"""Layer normalization decomposed into smaller operators, over the last axis or over channels.

What it does: writes Sub, Pow or Mul, ReduceMean, Add, Sqrt, Div, scale and shift over one axis as LayerNormalization;
over channels of a four-dim tensor with a Transpose before and after.
Why: the mean of squares overflows in half precision, and TensorRT compiles the nodes as several kernels. onnxruntime
runs one kernel instead of nine.
Before → After: `d = x - mean(x); y = d / sqrt(mean(d * d) + eps) * w + b` → `y = LayerNormalization(x, w, b)`
Leaves alone: opset below 17, means over several axes, a scale or shift that is not a constant vector of that axis,
constants of more dims than the data, an epsilon of 0 (rounding alone then decides the result for rows of equal values),
inner results that other nodes read, and tensors that are not floating point.
Numerics: within rounding (the sum is taken in another order). Where values differ by little more than their own
rounding, as 8938.11 and 8938.28 do, both forms are exact to only two digits in float32. Where sums or
squares overflow, one form may give 0 and the other NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.graph.walk import producer
from surgery.passes.ops.axes import single_kept_axis
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG202"
MINIMUM_OPSET = 17


@dataclass(frozen=True)
class Written:
    """A layer normalization as it was found: `last` makes the result, `axis` counts from the front."""

    source: gs.Tensor
    scale: np.ndarray
    shift: np.ndarray
    epsilon: float
    axis: int
    last: gs.Node
    nodes: tuple[gs.Node, ...]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < MINIMUM_OPSET:
        return
    for div in context.nodes(graph, "Div"):
        found = _read(div, context)
        if found is None or any(context.is_output(graph, n.outputs[0]) for n in found.nodes if n is not found.last):
            continue
        message = f"layer normalization over axis {found.axis} is decomposed into {len(found.nodes)} nodes"
        yield finding(message, found.last, partial(_write, graph, found, context), *found.nodes)


def _read(div: gs.Node, context: Context) -> Written | None:
    difference, root = producer(div.inputs[0], "Sub"), producer(div.inputs[1], "Sqrt")
    shifted = producer(root.inputs[0], "Add") if root else None
    if difference is None or root is None or shifted is None:
        return None
    mean = producer(difference.inputs[1], "ReduceMean")
    variance, epsilon = _with_scalar(shifted, "ReduceMean", context)
    if mean is None or variance is None or not epsilon > 0 or mean.inputs[0] is not difference.inputs[0]:
        return None
    square = producer(variance.inputs[0])
    source, rank = difference.inputs[0], context.rank(difference.inputs[0])
    if square is None or not _squares(square, difference.outputs[0], context) or rank is None:
        return None
    axes = {single_kept_axis(node, rank, context) for node in (mean, variance)}
    axis = axes.pop()
    if axes or axis is None or source.dtype is None or np.dtype(source.dtype).name not in ("float32", "float16"):
        return None
    inner = [mean, difference, square, variance, shifted, root]
    return _affine(div, source, epsilon, axis, rank, inner, context)


def _affine(
    div: gs.Node, source: gs.Tensor, epsilon: float, axis: int, rank: int, inner: list[gs.Node], context: Context
) -> Written | None:
    """Follow the scale and shift behind the division, and check that nothing else reads the parts."""
    last = div
    nodes = [*inner, div]
    values: dict[str, np.ndarray] = {}
    for op in ("Mul", "Add"):
        reader = last.outputs[0].outputs[0] if len(last.outputs[0].outputs) == 1 else None
        if reader is None or reader.op != op or reader.domain:
            break
        other = reader.inputs[1] if reader.inputs[0] is last.outputs[0] else reader.inputs[0]
        vector = _vector(context.constant(other), axis, rank)
        if vector is None:
            break
        values[op], last = vector, reader
        nodes.append(reader)
    shape = source.shape
    width = shape[axis] if shape is not None and isinstance(shape[axis], (int, np.integer)) else None
    if width is None or any(vector.size not in (1, width) for vector in values.values()):
        return None
    inside = {id(node) for node in nodes}
    if any(id(reader) not in inside for node in nodes[:-1] for reader in node.outputs[0].outputs):
        return None
    kind = np.dtype(source.dtype)
    scale = np.broadcast_to(values.get("Mul", np.ones(1)), (width,)).astype(kind)
    shift = np.broadcast_to(values.get("Add", np.zeros(1)), (width,)).astype(kind)
    return Written(source, scale, shift, epsilon, axis, last, tuple(nodes))


def _vector(value: np.ndarray | None, axis: int, rank: int) -> np.ndarray | None:
    """A constant as a vector along `axis`, or None where it varies along another."""
    if value is None or value.ndim > rank:
        return None
    full = value.reshape((1,) * (rank - value.ndim) + value.shape)
    if any(size != 1 for place, size in enumerate(full.shape) if place != axis):
        return None
    return full.reshape(-1)


def _with_scalar(node: gs.Node, op: str, context: Context) -> tuple[gs.Node | None, float]:
    """The `op` and the constant number that `node` combines."""
    for place in (0, 1):
        maker = producer(node.inputs[place], op)
        value = context.number(node.inputs[1 - place], context.rank(node.inputs[place]))
        if maker is not None and value is not None:
            return maker, value
    return None, 0.0


def _squares(node: gs.Node, tensor: gs.Tensor, context: Context) -> bool:
    if node.domain:
        return False
    if node.op == "Mul":
        return node.inputs[0] is tensor and node.inputs[1] is tensor
    return node.op == "Pow" and node.inputs[0] is tensor and context.number(node.inputs[1], context.rank(tensor)) == 2.0


def _write(graph: gs.Graph, found: Written, context: Context) -> None:
    build = Build(graph, found.last, context, CODE)
    rank = len(found.source.shape)
    order = [place for place in range(rank) if place != found.axis] + [found.axis]
    moved = found.axis != rank - 1
    source = build("Transpose", found.source, perm=order) if moved else found.source
    result = build("LayerNormalization", source, found.scale, found.shift, axis=-1, epsilon=found.epsilon)
    build.replace(build("Transpose", result, perm=np.argsort(order).tolist()) if moved else result)
    for node in found.nodes[:-1]:
        disconnect(graph, node)


PASS = Pass(code=CODE, name="decomposed-layernorm", find=find, exact=False, kind="speed")
