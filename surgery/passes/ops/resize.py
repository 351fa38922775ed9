"""The constant matrix by which Resize multiplies each axis, from ONNX's reference implementation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.write import attribute_protos
from surgery.pipeline.context import Context
from surgery.values import polynomials
from surgery.values.propagate import content_of, contents
from verify.run.session import open_session

KEPT = (
    "antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode", "nearest_mode",
)  # fmt: skip
UNKNOWN = ("tf_crop_and_resize",)
MOST_ELEMENTS = 1 << 12
SECONDS = 20.0
CLOSE = 1e-4


def matrices(graph: gs.Graph, node: gs.Node, context: Context) -> dict[int, np.ndarray] | None:
    """float64[out, in] for each axis that Resize changes, or None where sizes are not known or the mode has no matrix.

    A dim that is not known may be there as long as Resize surely leaves it alone.
    """
    if node.inputs[0].shape is None or node.attrs.get("coordinate_transformation_mode", "") in UNKNOWN:
        return None
    dims = polynomials.of_dims(node.inputs[0].shape, node.inputs[0])
    axes = [axis % len(dims) for axis in node.attrs.get("axes", range(len(dims)))]
    scales, sizes = scales_or_sizes(graph, node, context)
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
    changed = {axis: (old, new, scale) for axis, (old, new, scale) in rows if old != new or scale != 1.0}
    found = {axis: weights(node, old, new, scale) for axis, (old, new, scale) in changed.items()}
    if any(found[axis].shape != (new, old) for axis, (old, new, _) in changed.items()):
        return None
    return (
        None if disputed(node, shape, dict(zip(axes, sizes or scales or (), strict=False)), found, context) else found
    )


def disputed(
    node: gs.Node, shape: list[int], wanted: dict[int, Any], found: dict[int, np.ndarray], context: Context
) -> bool:
    """Whether onnxruntime uses other weights than those given, which come from ONNX's reference.

    The two differ for some settings: the rounding of sizes under a policy, antialiasing to one pixel. Axes that keep
    their size are tried at size one.

    Args:
        wanted: the size or the scale of each axis that the node names.
    """
    by_size = len(node.inputs) > 3 and not node.inputs[3].is_empty()
    still = {axis for axis in range(len(shape)) if axis not in found}
    if by_size and node.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        still -= wanted.keys()
    operand = np.array([1 if axis in still else value for axis, value in wanted.items()])
    operand = operand.astype(np.int64 if by_size else np.float32)
    data = np.random.default_rng(0).standard_normal([1 if axis in still else dim for axis, dim in enumerate(shape)])
    inputs = {"x": data.astype(np.float32), "wanted": operand}
    run = open_session(alone(node, inputs, context), backend="onnxruntime").run(inputs, timeout=SECONDS)
    if run.error:  # onnxruntime cannot run it; the guard compares the result later
        return False
    for axis, matrix in found.items():
        data = np.moveaxis(np.moveaxis(data, axis, -1) @ matrix.T, -1, axis)
    return data.shape != run.outputs["y"].shape or not np.allclose(data, run.outputs["y"], rtol=CLOSE, atol=CLOSE)


def alone(node: gs.Node, inputs: dict[str, np.ndarray], context: Context) -> onnx.ModelProto:
    """A model of this Resize on float32 data, with its sizes or scales as an input."""
    rank = inputs["x"].ndim
    names = ["x", "wanted"]
    if len(node.inputs) > 2:  # since opset 11 the second input is the region of interest
        names = ["x", "", "", "wanted"] if inputs["wanted"].dtype == np.int64 else ["x", "", "wanted"]
    resize = onnx.helper.make_node("Resize", names, ["y"])
    resize.attribute.extend(attribute_protos(node))
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None] * rank)
    constants = []
    if context.opset in (11, 12) and len(names) > 2:  # at which no input could be left out
        resize.input[1] = "none"
        constants.append(onnx.numpy_helper.from_array(np.zeros(0, np.float32), "none"))
        if len(names) == 4:
            resize.input[2] = "none"
    graph = onnx.helper.make_graph([resize], "resize", infos, [result], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", context.opset)], ir_version=8)


def scales_or_sizes(graph: gs.Graph, node: gs.Node, context: Context) -> tuple[list[float] | None, list[Any] | None]:
    """Constant scales, and sizes as numbers or polynomials over dims; None for those that are not known."""
    given = [None if tensor.is_empty() else tensor for tensor in node.inputs] + [None] * 4
    scales = context.constant(given[1] if len(node.inputs) == 2 else given[2])
    if scales is not None and scales.size:
        return [float(scale) for scale in scales], None
    sizes = None if given[3] is None else content_of(given[3], contents(graph, context))
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
    """float64[new, old]: the identity resized along one axis; of another size where the reference gives another.

    With a policy that keeps the aspect ratio, the scale of one axis is that of all, and each size is rounded. The
    reference gets a second axis there, which decides the scale.
    """
    from onnx.reference import ReferenceEvaluator  # which builds a schema for each operator: slow to import

    attributes: dict[str, Any] = {name: node.attrs[name] for name in KEPT if name in node.attrs}
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    units = np.eye(old, dtype=np.float32)
    axes, sizes = [1], [new]
    if len(node.inputs) <= 3 or node.inputs[3].is_empty():
        operands = {"scales": np.array([scale], np.float32)}
    else:
        if policy != "stretch":
            ratio = Fraction(scale).limit_denominator(MOST_ELEMENTS)
            attributes["keep_aspect_ratio_policy"] = policy
            units = np.repeat(units[..., None], ratio.denominator, -1)
            axes, sizes = [1, 2], [1 if policy == "not_smaller" else old * (int(scale) + 1), ratio.numerator]
        operands = {"sizes": np.array(sizes, np.int64)}
    names = ["x", "", "", "sizes"] if "sizes" in operands else ["x", "", "scales"]
    resize = onnx.helper.make_node("Resize", names, ["y"], axes=axes, **attributes)
    inputs = {"x": units} | operands
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([resize], "weights", infos, [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])
    resized = np.asarray(ReferenceEvaluator(model).run(None, inputs)[0])
    return (resized if resized.ndim == 2 else resized[..., 0]).T.astype(np.float64)
