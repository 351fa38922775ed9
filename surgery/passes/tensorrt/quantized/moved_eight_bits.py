"""Eight-bit numbers with a zero point that are moved between QuantizeLinear and DequantizeLinear.

What it does: puts the DequantizeLinear in front of the operator that moves the numbers.
Why: TensorRT has no zero points; the pair becomes rounding in floating point (`zero-point-pair`) where both stand next
to each other, and casts to eight bits and back are left where they do not.
Before → After: `y = DequantizeLinear(Transpose(q), s, z)` → `y = Transpose(DequantizeLinear(q, s, z))`
Leaves alone: numbers that come from elsewhere; moved numbers that another operator reads or that are an output; several
scales or zero points; scales for each channel.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect, replace_input, replace_uses
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import dequantized, shift_from_middle, single_number
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG189"
MOVES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Gather", "Expand", "Tile")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *MOVES):
        readers = _readers(graph, node, context)
        if readers and _rounded(node):
            message = f"moves eight-bit numbers before '{readers[0].name}' dequantizes them"
            yield finding(message, node, partial(rewrite, graph, node, context), *readers)


def _readers(graph: gs.Graph, node: gs.Node, context: Context) -> list[gs.Node]:
    """The nodes that read what the node moves, if they all dequantize with one zero point; else an empty list."""
    readers = [reader for out in node.outputs for reader in out.outputs]
    if any(context.is_output(graph, out) for out in node.outputs):
        return []
    if not all(each.op == "DequantizeLinear" and not each.domain for each in readers):
        return []
    shifts = {shift_from_middle(each, context) for each in readers}
    return readers if len(shifts) == 1 and shifts.isdisjoint({None, 0}) else []


def _rounded(node: gs.Node) -> bool:
    """Whether a QuantizeLinear makes the numbers, in front of other operators that move them."""
    maker = producer(node.inputs[0], "QuantizeLinear", *MOVES)
    while maker is not None and maker.op in MOVES:
        maker = producer(maker.inputs[0], "QuantizeLinear", *MOVES)
    return maker is not None


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Dequantize in steps of one or of the only scale, move, and multiply by other scales; so on up the graph."""
    readers, source = _readers(graph, node, context), node.inputs[0]
    scales = {np.float32(single_number(reader.inputs[1], context)) for reader in readers}
    common = next(iter(scales)) if len(scales) == 1 else np.float32(1)
    build = Build(graph, node, context, CODE)
    moved = dequantized(build, node.inputs[0], build.constant(common, np.float32), readers[0].inputs[2])
    build.insert()
    replace_input(node, 0, moved)
    for out in node.outputs:
        out.dtype = np.dtype(np.float32)
    for reader in readers:
        scale, result = np.float32(single_number(reader.inputs[1], context)), reader.inputs[0]
        if scale == common and not context.is_output(graph, reader.outputs[0]):
            replace_uses(reader.outputs[0], result)
            disconnect(graph, reader)
            continue
        after = Build(graph, reader, context, CODE)
        after.replace(after("Mul", result, np.float32(1) if scale == common else scale))
    before = producer(source, *MOVES)
    if before is not None and _readers(graph, before, context):
        rewrite(graph, before, context)


PASS = Pass(code=CODE, name="moved-eight-bits", find=find, exact=True, kind="replace", feature="quantize-zero-point")
