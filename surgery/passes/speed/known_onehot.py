"""OneHot of constant indices, as torch's older exporter writes the repeats of `repeat_interleave(x, n)`.

What it does: picks the two values with a Gather whose indices are constant.
Why: TensorRT up to 10.3 refuses OneHot in shape arithmetic ("IIOneHotLayer cannot be used to compute a shape tensor"),
the failure most often reported for SAM decoders. The other passes can follow shapes through Gather.
Before → After: `y = OneHot([1], 4, Concat([1], n))` → `y = Gather(Concat([1], n), [[0, 1, 0, 0]])`
Leaves alone: indices or a depth that are not constant, and results of more than 4096 elements.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG209"
MOST = 4096


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "OneHot"):
        indices, depth = (context.constant(tensor) for tensor in node.inputs[:2])
        if indices is None or depth is None or indices.size * max(int(depth.reshape(-1)[0]), 1) > MOST:
            continue
        size, axis = int(depth.reshape(-1)[0]), node.attrs.get("axis", -1) % (indices.ndim + 1)
        whole = indices.astype(np.int64)
        hot = np.where(whole < 0, whole + size, whole)[..., None] == np.arange(size)
        places = np.moveaxis(hot, -1, axis).astype(np.int64)
        yield finding("the indices are constant", node, partial(_write, graph, node, places, context))


def _write(graph: gs.Graph, node: gs.Node, places: np.ndarray, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Gather", node.inputs[2], places, axis=0))


PASS = Pass(code=CODE, name="known-onehot", find=find, exact=True, kind="speed")
