"""The constant matrix by which Resize multiplies each axis, from ONNX's reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.pipeline.context import Context
from surgery.values import polynomials
from surgery.values.propagate import contents, of

KEPT = (
    "antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode", "nearest_mode",
)  # fmt: skip
UNKNOWN = ("tf_crop_and_resize",)


def matrices(graph: gs.Graph, node: gs.Node, context: Context) -> dict[int, np.ndarray] | None:
    """float64[out, in] for each axis that Resize changes, or None where sizes are not known or the mode has no matrix.

    A dim that is not known may be there as long as Resize surely leaves it alone.
    """
    if node.inputs[0].shape is None or node.attrs.get("coordinate_transformation_mode", "") in UNKNOWN:
        return None
    dims = polynomials.of_dims(node.inputs[0].shape, node.inputs[0])
    axes = [axis % len(dims) for axis in node.attrs.get("axes", range(len(dims)))]
    scales, sizes = asked(graph, node, context)
    same = {axis for axis, dim in enumerate(dims) if not polynomials.known(dim) and axis not in axes}
    if sizes is not None and node.attrs.get("keep_aspect_ratio_policy", "stretch") == "stretch":
        same |= {
            axis for axis, size in zip(axes, sizes, strict=False) if not polynomials.known(size) and size == dims[axis]
        }
    elif scales is not None:
        same |= {
            axis
            for axis, scale in zip(axes, scales, strict=False)
            if scale == 1.0 and not polynomials.known(dims[axis])
        }
    shape = [1 if axis in same else dim for axis, dim in enumerate(dims)]
    sizes = sizes and [1 if axis in same else size for axis, size in zip(axes, sizes, strict=False)]
    if not all(polynomials.known(value) for value in (*shape, *(sizes or ()))):
        return None
    factors = factors_of(node, shape, axes, scales, sizes)
    if factors is None:
        return None
    made = [int(np.floor(size * factor)) for size, factor in zip(shape, factors, strict=True)]
    out = context.static_shape(node.outputs[0])
    if out is not None:
        made = list(out)
    elif sizes and node.attrs.get("keep_aspect_ratio_policy", "stretch") == "stretch":
        for axis, size in zip(axes, sizes, strict=True):
            made[axis] = size  # 49 * (1 / 49) is below 1
    rows = enumerate(zip(shape, made, factors, strict=True))
    return {axis: weights(node, old, new, scale) for axis, (old, new, scale) in rows if old != new or scale != 1.0}


def asked(graph: gs.Graph, node: gs.Node, context: Context) -> tuple[list[float] | None, list[Any] | None]:
    """The scales, or the sizes as numbers and polynomials over names of dims; None for what is not known."""
    given = [None if tensor.is_empty() else tensor for tensor in node.inputs] + [None] * 4
    scales = context.constant(given[1] if len(node.inputs) == 2 else given[2])
    if scales is not None and scales.size:
        return [float(scale) for scale in scales], None
    sizes = None if given[3] is None else of(given[3], contents(graph, context))
    return None, None if sizes is None or not sizes.size else list(sizes)


def factors_of(
    node: gs.Node, shape: list[int], axes: list[int], scales: list[float] | None, sizes: list[int] | None
) -> list[float] | None:
    """Scale of every axis, from scales or from sizes and the policy; None where there are neither."""
    if sizes is not None:
        scales = [size / shape[axis] for axis, size in zip(axes, sizes, strict=False)]
        policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            scales = [min(scales) if policy == "not_larger" else max(scales)] * len(scales)
    if scales is None:
        return None
    factors = [1.0] * len(shape)
    for axis, scale in zip(axes, scales, strict=False):
        factors[axis] = scale
    return factors


def weights(node: gs.Node, old: int, new: int, scale: float) -> np.ndarray:
    """float64[new, old]: the identity resized along one axis."""
    from onnx.reference import ReferenceEvaluator  # which builds a schema for each operator: slow to import

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
