"""A limit that is set by a comparison, although no element can be NaN.

What it does: writes Greater, Where and Min as one Clip, where the nodes before them give numbers only: dequantized
tensors, and sums, products, convolutions and activations of them.
Why: quantized tensors without a form in INT8 are rounded and limited in floating point; the comparison is needed only
to make NaN the lower limit, as onnxruntime does.
Before → After: `Min(Where(x > -3, x, -3), 252)` → `Clip(x, -3, 252)`, with `x = Round(Conv(DequantizeLinear(...)) / s)`
Leaves alone: tensors that may hold NaN; limits of several numbers, or the upper below the lower one; a lower limit of
zero where -0 may come in and an output shows the sign of a zero; results in between that other nodes read or that are
graph outputs; types other than float32.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.bounds import bounds, is_floor
from surgery.passes.ops.build import Build
from surgery.passes.ops.zero_sign import shows_zero_sign
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG030"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 11:
        return
    for node in context.nodes(graph, "Min"):
        choice = producer(node.inputs[0], "Where") if len(node.inputs) == 2 else None
        if choice is None or not is_floor(choice) or not _alone(graph, choice.outputs[0], context):
            continue
        source = choice.inputs[1]
        low, high = (_limit(tensor) for tensor in (choice.inputs[2], node.inputs[1]))
        known = bounds(graph, context).get(id(source)) if source.dtype == np.float32 else None
        if low is None or high is None or low > high or known is None:
            continue
        # Clip leaves -0.0 at a lower limit of zero, which the comparison makes 0.0.
        if low != 0 or known.positive or not shows_zero_sign(graph, node.outputs[0], context):
            fix = partial(_write, graph, node, source, low, high, context)
            yield finding(f"limits '{source.name}', which holds numbers only, by a comparison", node, fix, choice)


def _alone(graph: gs.Graph, tensor: gs.Tensor, context: Context) -> bool:
    return len(tensor.outputs) == 1 and not context.is_output(graph, tensor)


def _limit(tensor: gs.Tensor) -> float | None:
    """A constant of one finite number."""
    scalar = isinstance(tensor, gs.Constant) and tensor.dtype == np.float32 and len(tensor.shape) == 0
    value = float(tensor.values) if scalar else np.nan
    return value if np.isfinite(value) else None


def _write(graph: gs.Graph, node: gs.Node, source: gs.Tensor, low: float, high: float, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Clip", source, np.float32(low), np.float32(high)))


PASS = Pass(code=CODE, name="compared-limit", find=find, exact=True)
