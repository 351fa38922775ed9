"""SkipLayerNormalization, SkipSimplifiedLayerNormalization, SimplifiedLayerNormalization and EmbedLayerNormalization.

What it does: adds what is to be normalized (or gathers the embeddings and adds them) and writes LayerNormalization, or
the division by the root of the mean square in float32.
Why: onnxruntime's optimiser writes these operators, which TensorRT's parser does not know.
Before → After: `y = com.microsoft.SkipLayerNormalization(x, skip, scale, bias)` → `a = Add(x, skip); y =
LayerNormalization(a, scale, bias)`
Leaves alone: nodes whose mean or deviation is read, SimplifiedLayerNormalization over more than the last dim, and data
of unknown type. LayerNormalization needs opset 17.
Numerics: the same formulas; rounding differs in the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import contrib_nodes, dim, float_kind, given, layer_norm, read, rms_norm
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

ATTRIBUTES = {
    "SkipLayerNormalization": ("epsilon",),
    "SkipSimplifiedLayerNormalization": ("epsilon",),
    "EmbedLayerNormalization": ("epsilon", "mask_index_type"),
}
STANDARD = {"SimplifiedLayerNormalization": ("axis", "epsilon", "stash_type")}  # stands in the domain of ONNX
EPSILON = 1e-12  # onnxruntime's default for the operators of com.microsoft; the other one has 1e-5


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    nodes = [*contrib_nodes(graph, context, ATTRIBUTES), *contrib_nodes(graph, context, STANDARD, domain="")]
    for node in nodes:
        kind = float_kind(node, *((2, 5) if node.op == "EmbedLayerNormalization" else (2, 1, 0)))
        if kind is None or not plain(node, context):
            continue
        message = f"{context.target.name} has no {node.op}, which onnxruntime's optimiser writes"
        write = embedded if node.op == "EmbedLayerNormalization" else rewrite
        yield finding(message, node, partial(write, graph, node, context, kind))


def plain(node: gs.Node, context: Context) -> bool:
    """Whether the node normalizes the last dim and nothing reads its mean and deviation."""
    if node.op == "EmbedLayerNormalization":
        return True
    if node.op == "SimplifiedLayerNormalization":
        axis, rank = int(node.attrs.get("axis", -1)), context.rank(node.inputs[0])
        return not read(node, 1) and (axis == -1 or (rank is not None and axis == rank - 1))
    return not read(node, 1) and not read(node, 2)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, kind: Any) -> None:
    """Add, then normalize."""
    build = Build(graph, node, context, PASS.code)
    if node.op == "SimplifiedLayerNormalization":
        build.replace(rms_norm(build, node.inputs[0], node.inputs[1], node.attrs.get("epsilon", 1e-5), kind))
        return
    simplified = node.op == "SkipSimplifiedLayerNormalization"
    terms = [node.inputs[0], node.inputs[1], given(node, 3 if simplified else 4)]
    total = reduce(partial(build, "Add"), [term for term in terms if term is not None])
    epsilon = node.attrs.get("epsilon", EPSILON)
    if simplified:
        made = rms_norm(build, total, node.inputs[2], epsilon, kind)
    else:
        made = layer_norm(build, total, node.inputs[2], given(node, 3), epsilon)
    build.replace(made, None, None, total)


def embedded(graph: gs.Graph, node: gs.Node, context: Context, kind: Any) -> None:
    """Gather and add the embeddings, normalize, and count the ones of the mask."""
    build = Build(graph, node, context, PASS.code)
    ids, segments, words, positions, kinds = (given(node, place) for place in range(5))
    scale, bias, mask, places = (given(node, place) for place in range(5, 9))
    assert ids is not None
    if places is not None:
        placed = build("Gather", positions, places)
    else:
        placed = build("Slice", positions, build.ints([0]), dim(build, ids, 1), build.ints([0]))
    total = build("Add", build("Gather", words, ids), placed)
    if segments is not None and kinds is not None:
        total = build("Add", total, build("Gather", kinds, segments))
    made = layer_norm(build, total, scale, bias, node.attrs.get("epsilon", EPSILON))
    counted = None
    if read(node, 1) and mask is not None:
        ones = build.cast(build("Equal", mask, np.array(1, np.int32)), np.int32)
        counted = build.axes("ReduceSum", ones, [1], keepdims=0)
    elif read(node, 1):
        counted = build.cast(build("Expand", np.zeros(1, np.int32), dim(build, ids, 0)), np.int32)
    build.replace(made, counted, total)


PASS = Pass(code="SG165", name="fused-normalization", find=find, exact=False, kind="replace")
