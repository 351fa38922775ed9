"""Resize with settings the target does not take, at static sizes.

What it does: multiplies each resized axis by its constant interpolation matrix; for nearest it gathers.
Why: TensorRT has no antialiasing, keeps no aspect ratio, knows four coordinate transformations, interpolates linearly
over at most three axes and cubically over two, takes floating point only, and needs constant scales.
Before → After: `y = Resize<mode = "linear", antialias = 1>(x, , scales)` → `y = Transpose(MatMul(Transpose(x), W))`
Leaves alone: Resize the target takes; sizes that are unknown or depend on run time, except for axes that keep their
size; tf_crop_and_resize; settings that onnxruntime and ONNX's reference interpret differently (the rounding of sizes
that keep the aspect ratio, antialiasing to one pixel by pytorch_half_pixel); types other than float32, float16, float64
and integers with nearest.
Numerics: nearest is exact; the weights are ONNX's reference interpolation, in float64 and rounded to the data's type;
sums are taken one axis at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.resize import matrices
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22  # elements of one weight matrix
TAKEN = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "tf_half_pixel_for_nn")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Resize"):
        why = refusal(node, context)
        if not why or node.inputs[0].dtype is None or interpolates_integers(node):
            continue
        found = matrices(graph, node, context)
        if found is not None and all(weights.size <= LARGEST for weights in found.values()):
            yield finding(why, node, partial(rewrite, graph, node, context, found))


def refusal(node: gs.Node, context: Context) -> str:
    """What the target refuses about this Resize, or ""."""
    attributes, refuses = node.attrs, context.target.refuses
    mode = attributes.get("coordinate_transformation_mode", "half_pixel")
    if attributes.get("antialias", 0) and refuses("resize-antialias"):
        return "Resize is antialiased"
    if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch" and refuses("resize-policy"):
        return "Resize keeps the aspect ratio"
    if mode not in TAKEN and refuses("resize-coordinates"):
        return f"Resize uses the coordinate transformation '{mode}'"
    if node.inputs[0].dtype is not None and np.dtype(node.inputs[0].dtype).kind in "iu" and refuses("int-resize"):
        return "Resize works on integers"
    return ""


def interpolates_integers(node: gs.Node) -> bool:
    """Whether the result would have to be rounded as a runtime rounds it."""
    return np.dtype(node.inputs[0].dtype).kind in "iu" and node.attrs.get("mode", "nearest") != "nearest"


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, found: dict[int, np.ndarray]) -> None:
    """One product, or one Gather, for each axis that changes."""
    build = Build(graph, node, context, PASS.code)
    value = node.inputs[0]
    rank = len(value.shape)
    for axis, weights in found.items():
        if node.attrs.get("mode", "nearest") == "nearest":
            value = build("Gather", value, build.ints(weights.argmax(axis=1).tolist()), axis=axis)
            continue
        last = [place for place in range(rank) if place != axis] + [axis]
        back = [last.index(place) for place in range(rank)]
        turned = value if axis == rank - 1 else build("Transpose", value, perm=last)
        value = build("MatMul", turned, build.constant(weights.T, value.dtype))
        value = value if axis == rank - 1 else build("Transpose", value, perm=back)
    build.replace(value if found else build("Identity", value))


PASS = Pass(code="SG121", name="unsupported-resize", find=find, exact=False, kind="replace", feature="resize-antialias")
