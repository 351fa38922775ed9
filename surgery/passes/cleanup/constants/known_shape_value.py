"""Shape arithmetic whose result does not depend on any free dim.

What it does: stores the result of Shape, Gather, Slice, Concat, arithmetic and comparisons over known dims, also if
other dims of the same tensors are free. The attributes `start` and `end` of Shape are honoured.
Why: TensorRT resolves most of this arithmetic itself, but operands that it needs as constants when it builds the engine
often come from here.
Before → After: `s = Shape(x: [n, 3, 4]); h = Gather(s, 1); y = Add(h, 1)` → `y = 4`
Leaves alone: values that depend on a free dim, on a declared shape of a graph output, or on arithmetic beyond 64 bits;
more than 256 elements.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_by_constant
from surgery.graph.nodes import Constant
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values.propagate import contents, numbers


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:  # elementwise operators broadcast by other rules before opset 7
        return
    found = contents(graph, context)
    known = {key for key, value in found.items() if numbers(value) is not None}
    for node in graph.nodes:
        if node.op == "Constant":
            continue
        for index, tensor in enumerate(node.outputs):
            if id(tensor) not in known:
                continue
            is_output = context.is_output(graph, tensor)
            if not is_output and all(_covered(reader, known) for reader in tensor.outputs):
                continue
            value = found[id(tensor)]
            array = np.asarray(numbers(value), dtype=np.dtype(tensor.dtype)).reshape(value.shape)
            constant = Constant(tensor.name, array)
            message = f"'{tensor.name}' is {array.tolist()} for every input"
            yield finding(message, node, partial(replace_by_constant, graph, node, index, constant))


def _covered(reader: gs.Node, known: set[int]) -> bool:
    """Whether all outputs of a reader are known too, so that it becomes unused by itself."""
    return bool(reader.outputs) and all(id(out) in known for out in reader.outputs) and not reader.domain


PASS = Pass(code="SG006", name="known-shape-value", find=find, exact=True)
