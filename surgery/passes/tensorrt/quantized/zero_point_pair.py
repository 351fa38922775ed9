"""QuantizeLinear and DequantizeLinear with a zero point other than 0, whose eight-bit numbers nothing else reads.

What it does: divides by the scale, rounds, limits and multiplies by the scale in float32, without eight-bit numbers and
without a zero point.
Why: TensorRT takes symmetric int8 quantization only; a pair like this rounds numbers for operators that it runs in
floating point.
Before → After: `y = DequantizeLinear(QuantizeLinear(x, s, 100), s, 100)` in uint8 → `y = Clip(Round(x / s), -100, 155)
* s`
Leaves alone: graph outputs, numbers that operators other than DequantizeLinear read, a scale for each channel.
Numerics: exact, NaN included, which becomes the lowest number. `compared-limit` writes the limits as one Clip where no
number can be NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import shift_from_middle, shifted_readers, single_number, within_range
from surgery.passes.ops.zero_sign import shows_zero_sign
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LOWEST = -128  # the shift at which the lower limit is 0.0, which -0.0 becomes as well


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "QuantizeLinear"):
        readers = shifted_readers(graph, node, context)
        if readers:
            zero = single_number(node.inputs[2], context)
            message = f"only DequantizeLinear reads these eight-bit numbers with zero point {zero}"
            yield finding(message, node, partial(rewrite, graph, node, context), *readers)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Round and limit once, and multiply for each reader."""
    readers, shift = list(node.outputs[0].outputs), shift_from_middle(node, context) or 0
    build = Build(graph, node, context, PASS.code)
    step = build.constant(single_number(node.inputs[1], context), np.float32)
    whole = build("Round", build("Div", node.inputs[0], step))
    if shift > LOWEST and any(shows_zero_sign(graph, each.outputs[0], context) for each in readers):
        whole = build("Add", whole, np.float32(0))  # integers have no -0.0
    within = within_range(build, whole, shift)
    build.insert()
    for reader in readers:
        last = Build(graph, reader, context, PASS.code)
        last.replace(last("Mul", within, np.float32(single_number(reader.inputs[1], context))))


PASS = Pass(
    code="SG190",
    name="zero-point-pair",
    find=find,
    exact=True,
    kind="replace",
    feature="quantize-zero-point",
)
