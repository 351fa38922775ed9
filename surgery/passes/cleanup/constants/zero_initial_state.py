"""An initial state of zeros that LSTM, GRU or RNN computes with at every run.

What it does: leaves the optional input `initial_h` or `initial_c` out, which means zeros.
Why: exporters write a Shape, a Concat and a ConstantOfShape or Expand for it, because the state has the batch size of
the sequence.
Before → After: `h = ConstantOfShape(Concat(1, Shape(x)[1:2], 32)); y = LSTM(x, w, r, b, , h, h)` →
`y = LSTM(x, w, r, b)`
Leaves alone: states that are not surely zero or that are -0.0; states of zeros that are stored as constants, which cost
no node; weights of the recurrence or peepholes that are computed or not finite, because zero times infinity is NaN and
runtimes skip this product where the state is left out.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.nodes import Variable
from surgery.graph.walk import producer
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

RECURRENCE, PEEPHOLES = 2, 7
STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}
# Operators whose result holds nothing but elements of the first input.
MOVES = ("Expand", "Tile", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Identity")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *STATES):
        places = [
            place
            for place in STATES[node.op]
            if place < len(node.inputs) and _is_computed_zero(node.inputs[place], context)
        ]
        if places and _is_finite([node.inputs[RECURRENCE], *node.inputs[PEEPHOLES:]], context):
            names = " and ".join(f"'{node.inputs[place].name}'" for place in places)
            yield finding(f"the initial state {names} is always zero", node, partial(_leave_out, node, places))


def _is_computed_zero(tensor: gs.Tensor, context: Context) -> bool:
    return bool(tensor.inputs) and context.constant(tensor) is None and _is_zero(tensor, context)


def _is_finite(weights: list[gs.Tensor], context: Context) -> bool:
    """Whether all of these are constants without infinity and NaN; an input that is left out counts as one."""
    values = [context.constant(tensor) for tensor in weights if not tensor.is_empty()]
    return all(value is not None and bool(np.isfinite(value).all()) for value in values)


def _is_zero(tensor: gs.Tensor, context: Context) -> bool:
    """Whether every element is +0.0 for every input."""
    value = context.constant(tensor)
    if value is not None:
        return _holds_zeros(value)
    maker = producer(tensor, "ConstantOfShape", *MOVES)
    if maker is None or not maker.inputs:
        return False
    if maker.op in MOVES:
        return _is_zero(maker.inputs[0], context)
    fill = maker.attrs.get("value")
    return fill is None or _holds_zeros(fill.values)


def _holds_zeros(value: np.ndarray) -> bool:
    numbers = np.asarray(value).astype(np.float64)
    return not numbers.any() and not np.signbit(numbers).any()


def _leave_out(node: gs.Node, places: list[int]) -> None:
    for place in places:
        replace_input(node, place, Variable(""))
    while node.inputs[-1].is_empty():
        del node.inputs[-1]


PASS = Pass(code="SG025", name="zero-initial-state", find=find, exact=True)
