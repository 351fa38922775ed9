"""SplitToSequence into pieces of length one along an axis of free length, of which single pieces are read.

What it does: gathers the piece from the tensor, and reads the number of pieces from its shape.
Why: TensorRT has tensors only, no sequences. `unbind` along a batch whose size is free is written this way.
Before → After: `s = SplitToSequence<axis = 0, keepdims = 0>(x: [n, 4]); y = SequenceAt(s, i)` →
`y = Gather<axis = 0>(x, i)`
Leaves alone: pieces longer than one or of computed sizes, axes of known length (see known-sequence), sequences that are
changed before they are read, and `keepdims = 0` together with split sizes, which ONNX ignores and onnxruntime obeys.
Numerics: exact for positions within the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.passes.tensorrt.known_sequence import parts
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG135"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "SequenceAt", "SequenceLength"):
        split = producer(node.inputs[0], "SplitToSequence")
        if split is None or not _into_ones(split, context) or parts(split, context) is not None:
            continue
        fix = partial(_read if node.op == "SequenceAt" else _count, graph, node, split, context)
        yield finding(f"reads what '{split.name}' splits along an axis of free length", node, fix, split)


def _into_ones(split: gs.Node, context: Context) -> bool:
    """Whether every piece has length one, and the rank of the tensor is known."""
    rank, axis = context.rank(split.inputs[0]), int(split.attrs.get("axis", 0))
    if rank is None or not -rank <= axis < rank:
        return False
    given = optional_input(split, 1)
    if given is None:
        return True
    size = context.constant(given)
    return size is not None and size.ndim == 0 and int(size) == 1 and bool(split.attrs.get("keepdims", 1))


def _axis(split: gs.Node) -> int:
    return int(split.attrs.get("axis", 0)) % len(split.inputs[0].shape)


def _read(graph: gs.Graph, node: gs.Node, split: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    piece = build("Gather", split.inputs[0], build.reshape(node.inputs[1], []), axis=_axis(split))
    drops = optional_input(split, 1) is None and not split.attrs.get("keepdims", 1)
    build.replace(piece if drops else build.unsqueeze(piece, _axis(split)))


def _count(graph: gs.Graph, node: gs.Node, split: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Gather", build("Shape", split.inputs[0]), np.array(_axis(split), np.int64), axis=0))


PASS = Pass(code=CODE, name="split-of-free-length", find=find, exact=True, kind="replace", feature="sequence")
