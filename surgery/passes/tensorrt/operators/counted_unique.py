"""Unique of which only the number of values is read.

What it does: sorts all elements and counts those that differ from the one before.
Why: TensorRT's parser has no Unique, whose size depends on the data; the number of values alone has a fixed size.
Before → After: `n = Shape(Unique(x))` → `s = TopK(Reshape(x, [-1]), Size(x)); n = 1 + ReduceSum(s[1:] != s[:-1])`
Leaves alone: a Unique with an axis, or of which something else is read; types that TopK does not take in TensorRT; more
elements than large-topk takes, as far as the sizes are known.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.tensorrt.operators.large_topk import LARGEST, MOST_BLOCKS
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

SORTED = ("float32", "float16", "int32", "int64")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Unique"):
        data = node.inputs[0]
        size = context.static_shape(data)
        if "axis" in node.attrs or data.dtype is None or np.dtype(data.dtype).name not in SORTED:
            continue
        if (size is not None and np.prod(size, dtype=np.int64) > LARGEST * MOST_BLOCKS) or not _counted(
            graph, node, context
        ):
            continue
        for reader in [reader for output in node.outputs for reader in output.outputs]:
            message = "only the number of values is read of a Unique"
            yield finding(message, reader, partial(rewrite, graph, reader, data, context), node)


def _counted(graph: gs.Graph, node: gs.Node, context: Context) -> bool:
    """Whether nothing but Shape and Size reads the outputs; the third has as many elements as the data."""
    if len(node.outputs) > 2 and node.outputs[2].outputs:
        return False
    readers = [reader for output in node.outputs for reader in output.outputs]
    here = {id(reader) for reader in context.nodes(graph, "Shape", "Size") if _whole(reader)}
    return (
        all(id(reader) in here for reader in readers)
        and bool(readers)
        and not any(context.is_output(graph, output) for output in node.outputs)
    )


def _whole(reader: gs.Node) -> bool:
    """Whether a Shape of one dim gives that dim."""
    start, end = int(reader.attrs.get("start", 0)), int(reader.attrs.get("end", 1))
    return start <= 0 < end


def rewrite(graph: gs.Graph, reader: gs.Node, data: gs.Tensor, context: Context) -> None:
    """The number of values in place of the node that reads it."""
    build = Build(graph, reader, context, PASS.code)
    flat = build.reshape(data, [-1])
    size = build.shape(flat)
    order, _ = build("TopK", flat, size, outputs=2, axis=0)
    differ = build(
        "Not",
        build("Equal", build.slice(order, [0], [1], [np.iinfo(np.int64).max]), build.slice(order, [0], [0], [-1])),
    )
    steps = build.axes("ReduceSum", build.cast(differ, np.int64), [0], keepdims=1)
    count = build("Add", steps, build("Min", size, build.ints([1])))
    build.replace(count if reader.op == "Shape" else build.squeeze(count, 0))


PASS = Pass(code="SG149", name="counted-unique", find=find, exact=True, kind="replace", feature="unique")
