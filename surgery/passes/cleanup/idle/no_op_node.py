"""Nodes that return their input unchanged.

What it does: removes Cast to the type that a tensor has, Transpose that keeps the order, Reshape, Flatten, Squeeze,
Unsqueeze, Expand and Tile to the shape that a tensor has, Slice of everything, Pad by nothing, Concat, Sum, Max, Min
and Mean of one tensor, Split into one output, Dropout outside training, Round, Floor and Ceil of whole numbers, and
Clip of whole numbers that are within its limits.
Why: TensorRT imports each of them as a layer; a Slice or Expand with computed operands costs host work at every run.
Before → After: `y = Cast<to=FLOAT>(x: float); z = Relu(y)` → `z = Relu(x)`
Leaves alone: shapes that are not proved equal for every input, nodes whose second output is read (the mask of Dropout),
and a node between a graph input and a graph output.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, can_bypass
from surgery.graph.nodes import dtype_of
from surgery.graph.walk import producer
from surgery.passes.ops.whole_numbers import whole
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values import polynomials
from surgery.values.propagate import content_of, contents, numbers
from surgery.values.shapes import same_shape

Rule = Callable[[gs.Node, Any, Context], bool]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    modern = context.opset_of(graph) >= 7
    for op, rule in RULES.items():
        for node in context.nodes(graph, op):
            if not node.inputs or not node.outputs or (not modern and op in ("Sum", "Max", "Min", "Mean", "Expand")):
                continue
            if any(out.outputs or context.is_output(graph, out) for out in node.outputs[1:]):
                continue
            if rule(node, contents(graph, context), context) and can_bypass(graph, node):
                yield finding(f"returns '{node.inputs[0].name}' unchanged", node, partial(bypass, graph, node))


def _cast(node: gs.Node, found: Any, context: Context) -> bool:
    wanted = dtype_of(node.attrs["to"]) if isinstance(node.attrs.get("to"), int) else None
    return wanted is not None and node.inputs[0].dtype is not None and np.dtype(node.inputs[0].dtype) == wanted


def _transpose(node: gs.Node, found: Any, context: Context) -> bool:
    perm, shape = node.attrs.get("perm"), node.inputs[0].shape
    if perm is None:
        return shape is not None and len(shape) < 2
    return list(perm) == list(range(len(perm)))


def _reshape(node: gs.Node, found: Any, context: Context) -> bool:
    if same_shape(node.inputs[0], node.outputs[0]):
        return True
    shape = numbers(content_of(node.inputs[1], found)) if len(node.inputs) > 1 else node.attrs.get("shape")
    own = node.inputs[0].shape
    if shape is None or own is None or len(shape) != len(own) or node.attrs.get("allowzero") or shape.count(-1) > 1:
        return False
    return all(dim in (-1, 0) or dim == was for dim, was in zip(shape, own, strict=True))


def _expand(node: gs.Node, found: Any, context: Context) -> bool:
    wanted, shape = content_of(node.inputs[1], found), node.inputs[0].shape
    if wanted is None or shape is None or wanted.ndim != 1 or wanted.size > len(shape):
        return same_shape(node.inputs[0], node.outputs[0])
    own = polynomials.of_dims(shape, node.inputs[0])[len(shape) - wanted.size :]
    return all(want == has or (polynomials.known(want) and want == 1) for want, has in zip(wanted, own, strict=True))


def _tile(node: gs.Node, found: Any, context: Context) -> bool:
    repeats = numbers(content_of(node.inputs[1], found)) if len(node.inputs) == 2 else None
    return repeats is not None and all(count == 1 for count in repeats)


def _slice(node: gs.Node, found: Any, context: Context) -> bool:
    shape = node.inputs[0].shape
    if shape is None:
        return False
    operands = [None if t.is_empty() else content_of(t, found) for t in node.inputs[1:]]
    if len(node.inputs) == 1:
        operands = [
            np.asarray(node.attrs[key], dtype=object) if key in node.attrs else None
            for key in ("starts", "ends", "axes")
        ]
    elif any(value is None and not t.is_empty() for value, t in zip(operands, node.inputs[1:], strict=True)):
        return False
    starts, ends, axes, steps = [*operands, None, None, None][:4]
    if starts is None or ends is None:
        return False
    own = polynomials.of_dims(shape, node.inputs[0])
    for place in range(starts.size):
        axis = place if axes is None else axes[place]
        step = 1 if steps is None else steps[place]
        if not polynomials.known(axis) or not -len(own) <= axis < len(own):
            return False
        if not (polynomials.known(step) and step == 1 and polynomials.known(starts[place]) and starts[place] == 0):
            return False
        past = polynomials.less(ends[place], own[axis])
        huge = polynomials.known(ends[place]) and ends[place] >= 2**31 - 1
        if not huge and not (polynomials.known(past) and not past):
            return False
    return True


def _pad(node: gs.Node, found: Any, context: Context) -> bool:
    pads = node.attrs.get("pads") or node.attrs.get("paddings")
    if pads is None and len(node.inputs) > 1:
        pads = numbers(content_of(node.inputs[1], found))
    return pads is not None and all(width == 0 for width in pads)


def _single(node: gs.Node, found: Any, context: Context) -> bool:
    return len(node.inputs) == 1


def _split(node: gs.Node, found: Any, context: Context) -> bool:
    return len(node.outputs) == 1 and same_shape(node.inputs[0], node.outputs[0])


def _dropout(node: gs.Node, found: Any, context: Context) -> bool:
    if context.opset < 7:
        return bool(node.attrs.get("is_test"))
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return True
    training = context.constant(node.inputs[2])
    return training is not None and not training.any()


def _rounded(node: gs.Node, found: Any, context: Context) -> bool:
    return whole(node.inputs[0], context) is not None


def _limited(node: gs.Node, found: Any, context: Context) -> bool:
    """Whole numbers that an earlier Clip limits at least as much; Clip leaves both zeros between limits around them."""
    limits = [context.constant(tensor) for tensor in node.inputs[1:]]
    known = whole(node.inputs[0], context) if len(limits) == 2 else None
    if known is None or any(limit is None or limit.size != 1 for limit in limits):
        return False
    if known.missing and producer(node.inputs[0], "Clip") is None:  # runtimes differ in what Clip makes of NaN
        return False
    low, high = (float(np.asarray(limit).reshape(())) for limit in limits)
    return low < 0 < high and low <= known.low and known.high <= high


RULES: dict[str, Rule] = {
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": lambda node, found, context: same_shape(node.inputs[0], node.outputs[0]),
    "Squeeze": lambda node, found, context: same_shape(node.inputs[0], node.outputs[0]),
    "Unsqueeze": lambda node, found, context: same_shape(node.inputs[0], node.outputs[0]),
    "Expand": _expand,
    "Tile": _tile,
    "Slice": _slice,
    "Pad": _pad,
    "Concat": _single,
    "Sum": _single,
    "Max": _single,
    "Min": _single,
    "Mean": _single,
    "Split": _split,
    "Dropout": _dropout,
    "Clip": _limited,
    **dict.fromkeys(("Round", "Floor", "Ceil"), _rounded),
}

PASS = Pass(code="SG010", name="no-op-node", find=find, exact=True)
