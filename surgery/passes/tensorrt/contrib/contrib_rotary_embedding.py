"""RotaryEmbedding of com.microsoft.

What it does: gathers the rows of the cosine and sine tables, and rotates the two halves of each head, or its even and
odd elements, in plain arithmetic.
Why: TensorRT's parser does not know the operator, which onnxruntime's optimizer writes.
Before → After: `y = com.microsoft.RotaryEmbedding(x, p, c, s)` → `a, b = halves of x; y = Concat(a * c[p] - b * s[p],
b * c[p] + a * s[p])`
Leaves alone: packed batches; a `scale` other than 1; tables or heads of unknown width.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops import attention
from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG178", FORMS)


def _rotate(build: Build, node: gs.Node) -> gs.Tensor:
    data, places, cosines, sines = node.inputs[:4]
    half, flat = int(cosines.shape[1]), len(data.shape) == 3
    width = head_width(node)
    # [batch, length, heads, width], so that the tables need one dim more.
    heads = build.reshape(data, [0, 0, int(data.shape[2]) // width, width]) if flat else _swapped(build, data)
    cosine, sine = (_rows(build, heads, places, table) for table in (cosines, sines))
    turned = attention.rotated(build, heads, cosine, sine, half, bool(node.attrs.get("interleaved")))
    return build.reshape(turned, [0, 0, int(data.shape[2])]) if flat else _swapped(build, turned)


def _swapped(build: Build, tensor: gs.Tensor) -> gs.Tensor:
    return build("Transpose", tensor, perm=[0, 2, 1, 3])


def _rows(build: Build, heads: gs.Tensor, places: gs.Tensor, table: gs.Tensor) -> gs.Tensor:
    """The row of each position, [batch or 1, length, 1, half]; a single id is that of the first position."""
    if len(places.shape) == 1:
        length = build.cast(build("Gather", build("Shape", heads), np.int64(1), axis=0), np.int64)
        places = build("Add", places, build("Range", np.int64(0), length, np.int64(1)))
        return build.unsqueeze(build("Gather", table, places, axis=0), 0, 2)
    return build.unsqueeze(build("Gather", table, places, axis=0), 2)


def head_width(node: gs.Node) -> int:
    """Width of a head: from the number of heads, required if only a part of a head is rotated, or from the tables."""
    data, table = node.inputs[0], node.inputs[2]
    if len(data.shape) == 4:
        return int(data.shape[3])
    heads = int(node.attrs.get("num_heads", 0))
    return int(data.shape[2]) // heads if heads else 2 * int(table.shape[1])


def _known(node: gs.Node, context: Context) -> bool:
    data, places, cosines, sines = node.inputs[:4]
    if context.rank(data) not in (3, 4) or context.rank(places) not in (1, 2) or float(node.attrs.get("scale", 1)) != 1:
        return False
    tables = [tensor.shape for tensor in (cosines, sines)]
    if node.attrs.get("is_packed_batching") or any(dims is None or len(dims) != 2 for dims in tables):
        return False
    widths = [dims[1] for dims in tables]
    if not all(isinstance(dim, int) for dim in (*widths, data.shape[-1])) or widths[0] != widths[1]:
        return False
    width, turned = head_width(node), int(node.attrs.get("rotary_embedding_dim", 0))
    whole = data.shape[-1] % width == 0 and 2 * widths[0] == (turned or width) and 2 * widths[0] <= width
    return bool(whole) and (len(data.shape) == 3 or isinstance(data.shape[1], int))


FORMS = {
    "RotaryEmbedding": Form(
        _rotate,
        inputs=4,
        attributes=("interleaved", "is_packed_batching", "num_heads", "rotary_embedding_dim", "scale"),
        holds=_known,
    )
}
PASS = Pass(code="SG178", name="contrib-rotary-embedding", find=find, exact=False, kind="replace")
