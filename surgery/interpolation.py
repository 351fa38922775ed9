"""The constant matrix by which Resize multiplies each axis, from ONNX's reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from surgery.context import Context

KEPT = (
    "antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode", "nearest_mode",
)  # fmt: skip
UNKNOWN = ("tf_crop_and_resize",)


def matrices(node: gs.Node, context: Context) -> dict[int, np.ndarray] | None:
    """float64[out, in] for each axis that Resize changes, or None where sizes are not known or the mode has no matrix."""
    shape, out = context.static_shape(node.inputs[0]), context.static_shape(node.outputs[0])
    if shape is None or node.attrs.get("coordinate_transformation_mode", "") in UNKNOWN:
        return None
    factors = scales_of(node, shape, context)
    if factors is None:
        return None
    sizes = [int(np.floor(size * factor)) for size, factor in zip(shape, factors, strict=True)]
    if out is not None:
        sizes = list(out)
    rows = enumerate(zip(shape, sizes, factors, strict=True))
    return {axis: weights(node, old, new, scale) for axis, (old, new, scale) in rows if old != new or scale != 1.0}


def scales_of(node: gs.Node, shape: tuple[int, ...], context: Context) -> list[float] | None:
    """Scale of every axis, from constant scales or sizes and the policy; None where they are not constant."""
    rank = len(shape)
    axes = [axis % rank for axis in node.attrs.get("axes", range(rank))]
    given = [context.constant(tensor) if not tensor.is_empty() else None for tensor in node.inputs]
    factors = [1.0] * rank
    scales = given[2] if len(given) > 2 else given[1] if len(given) == 2 else None
    if scales is not None and scales.size:
        for axis, scale in zip(axes, scales.tolist(), strict=False):
            factors[axis] = float(scale)
        return factors
    sizes = given[3] if len(given) > 3 else None
    if sizes is None or not sizes.size:
        return None
    wanted = [int(size) / shape[axis] for axis, size in zip(axes, sizes.tolist(), strict=False)]
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        wanted = [min(wanted) if policy == "not_larger" else max(wanted)] * len(wanted)
    for axis, scale in zip(axes, wanted, strict=False):
        factors[axis] = scale
    return factors


def weights(node: gs.Node, old: int, new: int, scale: float) -> np.ndarray:
    """float64[new, old]: the identity resized along one axis."""
    attributes: dict[str, Any] = {name: node.attrs[name] for name in KEPT if name in node.attrs}
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    by_size = len(node.inputs) > 3 and not node.inputs[3].is_empty() and policy == "stretch"
    text = ["x", "", "", "s"] if by_size else ["x", "", "s"]
    value = np.array([new], np.int64) if by_size else np.array([scale], np.float32)
    resize = onnx.helper.make_node("Resize", text, ["y"], axes=[1], **attributes)
    graph = onnx.helper.make_graph(
        [resize],
        "weights",
        [
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [old, old]),
            onnx.helper.make_tensor_value_info("s", onnx.helper.np_dtype_to_tensor_dtype(value.dtype), [1]),
        ],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    result = np.asarray(ReferenceEvaluator(model).run(None, {"x": np.eye(old, dtype=np.float32), "s": value})[0])
    return result.T.astype(np.float64)
