"""SkipLayerNormalization, SkipSimplifiedLayerNormalization, SimplifiedLayerNormalization and EmbedLayerNormalization.

What it does: adds the inputs (or gathers and adds the embeddings) and writes LayerNormalization, or for the simplified
operators a division by the root mean square in float32.
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

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, dim, float_kind, has_output, plain_findings
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

EPSILON = 1e-12  # onnxruntime's default for the operators of com.microsoft
STANDARD_EPSILON = 1e-5  # the default of SimplifiedLayerNormalization, which stands in the domain of ONNX


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG165", FORMS)


def _simplified(build: Build, node: gs.Node) -> gs.Tensor:
    return rms_norm(build, node.inputs[0], node.inputs[1], float(node.attrs.get("epsilon", STANDARD_EPSILON)))


def _skip(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    total, epsilon = _total(build, node, 4), float(node.attrs.get("epsilon", EPSILON))
    return [layer_norm(build, total, node.inputs[2], optional_input(node, 3), epsilon), None, None, total]


def _skip_simplified(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    total, epsilon = _total(build, node, 3), float(node.attrs.get("epsilon", EPSILON))
    return [rms_norm(build, total, node.inputs[2], epsilon), None, None, total]


def _total(build: Build, node: gs.Node, bias: int) -> gs.Tensor:
    terms = [node.inputs[0], node.inputs[1], optional_input(node, bias)]
    return reduce(partial(build, "Add"), [term for term in terms if term is not None])


def layer_norm(build: Build, tensor: gs.Tensor, scale: gs.Tensor, bias: gs.Tensor | None, epsilon: float) -> gs.Tensor:
    """LayerNormalization over the last dim."""
    made: gs.Tensor = build("LayerNormalization", tensor, scale, bias, axis=-1, epsilon=epsilon)
    return made


def rms_norm(build: Build, tensor: gs.Tensor, scale: gs.Tensor, epsilon: float) -> gs.Tensor:
    """`tensor` divided by its root mean square in the last dim, times `scale`; computed in float32."""
    wide = build.cast(tensor, np.float32)
    mean = build.axes("ReduceMean", build("Mul", wide, wide), [-1], keepdims=1)
    root = build("Sqrt", build("Add", mean, np.float32(epsilon)))
    return build.cast(build("Mul", build("Div", wide, root), build.cast(scale, np.float32)), scale.dtype)


def _embedded(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    """Gather and add the embeddings, normalize, and count the ones of the mask."""
    ids, segments, words, positions, kinds, scale, bias, mask, places = (
        optional_input(node, place) for place in range(9)
    )
    if places is None:
        placed = build("Slice", positions, build.ints([0]), dim(build, ids, 1), build.ints([0]))
    else:
        placed = build("Gather", positions, places)
    total = build("Add", build("Gather", words, ids), placed)
    if segments is not None and kinds is not None:
        total = build("Add", total, build("Gather", kinds, segments))
    made = layer_norm(build, total, scale, bias, float(node.attrs.get("epsilon", EPSILON)))
    return [made, _ones(build, ids, mask) if has_output(node, 1) else None, total]


def _ones(build: Build, ids: gs.Tensor, mask: gs.Tensor | None) -> gs.Tensor:
    """How many ones each row of the mask holds; zeros where there is no mask."""
    if mask is None:
        return build.cast(build("Expand", np.zeros(1, np.int32), dim(build, ids, 0)), np.int32)
    ones = build.cast(build("Equal", mask, np.array(1, np.int32)), np.int32)
    return build.axes("ReduceSum", ones, [1], keepdims=0)


def _last_dim(node: gs.Node, context: Context) -> bool:
    axis, rank = int(node.attrs.get("axis", -1)), context.rank(node.inputs[0])
    return not has_output(node, 1) and (axis == -1 or (rank is not None and axis == rank - 1)) and _typed(node, 1)


def _sum_only(node: gs.Node, context: Context) -> bool:
    """Whether nothing reads the mean and the deviation."""
    return not has_output(node, 1) and not has_output(node, 2) and _typed(node, 2)


def _typed(node: gs.Node, scale: int) -> bool:
    return float_kind(node, scale) is not None


FORMS = {
    "SimplifiedLayerNormalization": Form(
        _simplified, inputs=2, attributes=("axis", "epsilon", "stash_type"), holds=_last_dim, domain=""
    ),
    "SkipLayerNormalization": Form(_skip, inputs=3, attributes=("epsilon",), holds=_sum_only),
    "SkipSimplifiedLayerNormalization": Form(_skip_simplified, inputs=3, attributes=("epsilon",), holds=_sum_only),
    "EmbedLayerNormalization": Form(_embedded, inputs=7, attributes=("epsilon", "mask_index_type")),
}
PASS = Pass(code="SG165", name="fused-normalization", find=find, exact=False, kind="replace")
