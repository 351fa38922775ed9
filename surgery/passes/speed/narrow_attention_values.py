"""Half-precision attention whose values are narrower or wider than its keys.

What it does: pads the narrower of the two with zeros, and slices the additional columns off the result.
Why: TensorRT fuses attention only if keys and values have the same width. Otherwise the scores are written to memory.
Before → After: `y = MatMul(Softmax(s), v)` with v 64 wide, keys 256 → `y = MatMul(Softmax(s), Pad(v))[..., :64]`
Leaves alone: every model unless `--select` names the pass: padding multiplies the work of the second product, and which
form is faster depends on the sizes (`surgeon compile --vs` compares them). Float32, unknown widths, keys wider than 256
and other targets.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG204"
LARGEST_WIDTH = 256


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if not context.target.name.startswith("tensorrt"):
        return
    for softmax in context.nodes(graph, "Softmax"):
        scores = producer(softmax.inputs[0])
        readers = softmax.outputs[0].outputs
        if scores is None or scores.op != "MatMul" or len(readers) != 1 or readers[0].op != "MatMul":
            continue
        output = readers[0]
        query, value = context.static_shape(scores.inputs[0]), context.static_shape(output.inputs[1])
        kind = output.inputs[1].dtype
        if query is None or value is None or kind is None or np.dtype(kind).itemsize != 2:
            continue
        if value[-1] < query[-1] <= LARGEST_WIDTH and output.inputs[0] is softmax.outputs[0]:
            message = f"keys are {query[-1]} wide and values {value[-1]}, so the attention is not fused"
            yield finding(message, output, partial(_pad, graph, output, query[-1], context), softmax)


def _pad(graph: gs.Graph, output: gs.Node, width: int, context: Context) -> None:
    build = Build(graph, output, context, CODE)
    weights, value = output.inputs
    shape = [int(dim) for dim in value.shape]
    zeros = np.zeros([*shape[:-1], width - shape[-1]], np.dtype(value.dtype))
    wide = build("Concat", value, build.constant(zeros, zeros.dtype), axis=len(shape) - 1)
    result = build("MatMul", weights, wide)
    build.replace(build.slice(result, [len(shape) - 1], [0], [shape[-1]]))


PASS = Pass(code=CODE, name="narrow-attention-values", find=find, exact=True, kind="chosen")
