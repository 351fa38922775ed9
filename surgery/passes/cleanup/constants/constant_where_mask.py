"""`Where` with a constant mask over two short vectors, as torch's older exporter writes `expand(n, -1, -1)`.

What it does: concatenates the elements that the mask selects.
Why: TensorRT computes shapes on the host, in one small layer after another; the Concat is one of these layers anyway.
Before → After: `y = Where([false, true, true], [1, 1, 1], Concat(n, [-1, -1]))` → `y = Concat(n, [1, 1])`
Leaves alone: conditions that are not constant, more than one dim or 64 elements, sides that are neither constant nor a
Concat of inputs of known length, and an input of the Concat of which the mask selects only some elements.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG018"
MOST = 64
Element = tuple[gs.Tensor, int]  # a vector, and the place in it


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Where"):
        shape, condition = context.static_shape(node.outputs[0]), context.constant(node.inputs[0])
        if shape is None or len(shape) != 1 or not 0 < shape[0] <= MOST or condition is None:
            continue
        sides = [_elements(tensor, shape[0], context) for tensor in node.inputs[1:]]
        if sides[0] is None or sides[1] is None:
            continue
        chosen = np.broadcast_to(condition, shape)
        picked = [(one if first else other) for first, one, other in zip(chosen, sides[0], sides[1], strict=True)]
        parts = _parts(picked, context)
        if parts is not None:
            yield finding("the mask is constant", node, partial(_write, graph, node, parts, context))


def _elements(tensor: gs.Tensor, size: int, context: Context) -> list[Element] | None:
    """Where each element of a vector comes from."""
    shape = context.static_shape(tensor)
    if shape is None or len(shape) > 1 or (shape and shape[0] not in (1, size)):
        return None
    if context.constant(tensor) is not None:
        return [(tensor, place if shape == (size,) else 0) for place in range(size)]
    concat = tensor.inputs[0] if len(tensor.inputs) == 1 else None
    if concat is None or concat.op != "Concat" or concat.domain or shape != (size,):
        return None
    lengths = [context.static_shape(part) for part in concat.inputs]
    if any(length is None for length in lengths):
        return None
    pairs = zip(concat.inputs, lengths, strict=True)
    return [(part, place) for part, length in pairs for place in range((length or (0,))[0])]


def _parts(picked: list[Element], context: Context) -> list[gs.Tensor | np.ndarray] | None:
    """Whole tensors, and arrays for runs of constant elements; None where a part would have to be cut."""
    parts: list[gs.Tensor | np.ndarray] = []
    for fixed, run in groupby(picked, lambda element: context.constant(element[0]) is not None):
        elements = list(run)
        if fixed:
            values = [np.asarray(context.constant(tensor)).reshape(-1)[place] for tensor, place in elements]
            parts.append(np.array(values))
            continue
        while elements:
            tensor = elements[0][0]
            length = (context.static_shape(tensor) or (0,))[0]
            if [place for other, place in elements[:length] if other is tensor] != list(range(length)):
                return None
            parts.append(tensor)
            elements = elements[length:]
    return parts


def _write(graph: gs.Graph, node: gs.Node, parts: list[gs.Tensor | np.ndarray], context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Concat", *parts, axis=0) if len(parts) > 1 else build("Identity", parts[0]))


PASS = Pass(code=CODE, name="constant-where-mask", find=find, exact=True)
