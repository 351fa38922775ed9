"""Types and shapes of a model's tensors by ONNX's own inference, for any model and without failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import onnx

from verify.model import negative_sizes
from verify.model.infer_again import without_mistakes
from verify.model.negative_sizes import without_negative_sizes
from verify.model.walk import is_larger, tensors, walk_graphs

SMALL = 4096  # initializers up to this size in bytes are kept for inference, whatever their type
LONG = 1 << 20
INTEGERS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)


def infer_types(model: onnx.ModelProto, data_prop: bool = True, faults: list[str] | None = None) -> onnx.ModelProto:
    """A copy of the model with the types and shapes that ONNX infers, without the values of large weights.

    Shapes that ONNX is known to infer wrongly are left open. Where inference fails the copy has only the declared
    types; it may be the model itself then.

    Args:
        data_prop: follow the contents of shapes too, which ONNX gets wrong in places.
        faults: gets what ONNX's inference says against the model in its strict mode, which is not run without this.
    """
    infer = partial(_infer, data_prop=data_prop, faults=faults)
    return without_mistakes(without_negative_sizes(_without_weights(model), infer, data_prop), infer)


def negative_size(model: onnx.ModelProto) -> str:
    """The name of a node that makes a size below zero in front of a Slice; "" where there is none.

    A process in which onnxruntime, or ONNX's checker with `full_check`, reads such a model ends.
    """
    if not negative_sizes.has_slices(model):
        return ""
    return negative_sizes.negative_size(_without_weights(model), partial(_infer, data_prop=False))


def _infer(model: onnx.ModelProto, data_prop: bool, faults: list[str] | None = None) -> onnx.ModelProto:
    """ONNX's inference, with its mistakes; the model itself where inference fails."""
    if faults is not None:
        faults.clear()
        try:
            return onnx.shape_inference.infer_shapes(model, strict_mode=True)
        except Exception as error:  # onnx raises its C++ errors as several bare types
            faults.append(str(error))
    plain = None
    for follow in (True, False) if data_prop else (False,):
        try:
            if follow and _has_large_numbers(model):
                plain = onnx.shape_inference.infer_shapes(model)
                if _has_long_vectors(plain):
                    return plain
            return onnx.shape_inference.infer_shapes(model, data_prop=follow)
        except Exception:  # onnx raises its C++ errors as several bare types
            continue
    return model if plain is None else plain


def passes_inference(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether ONNX's inference finds no fault in the model; declared shapes of outputs do not count.

    Args:
        shapes: of inputs, by name, in place of the declared ones.
    """
    bound = onnx.ModelProto()
    bound.CopyFrom(_without_weights(model))
    for value in bound.graph.input:
        if value.name in shapes:
            value.type.tensor_type.ClearField("shape")
            for size in shapes[value.name]:
                value.type.tensor_type.shape.dim.add().dim_value = size
    for value in bound.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        onnx.shape_inference.infer_shapes(
            without_negative_sizes(bound, partial(_infer, data_prop=False)), strict_mode=True
        )
    except Exception:  # onnx raises its C++ errors as several bare types
        return False
    return True


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large weights by type and shape only, which also keeps it below the 2 GB of a message.

    Integers stay: shapes may be computed from them.
    """
    graph = model.graph
    heavy = {t.name for t in graph.initializer if t.data_type not in INTEGERS and is_larger(t, SMALL)}
    if not heavy:
        return model
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    light.graph.CopyFrom(
        onnx.GraphProto(
            name=graph.name,
            node=graph.node,
            input=graph.input,
            output=graph.output,
            value_info=graph.value_info,
            sparse_initializer=graph.sparse_initializer,
        )
    )
    light.graph.initializer.extend(
        onnx.TensorProto(name=t.name, data_type=t.data_type, dims=t.dims) if t.name in heavy else t
        for t in graph.initializer
    )
    return light


def _has_large_numbers(model: onnx.ModelProto) -> bool:
    """Whether a declared dim or a small constant could make a vector too long for data propagation."""
    infos = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    if any(dim.dim_value > LONG for info in infos for dim in info.type.tensor_type.shape.dim):
        return True
    for tensor in tensors(model):
        if tensor.data_type in INTEGERS:
            words = np.frombuffer(tensor.raw_data[: len(tensor.raw_data) // 8 * 8], np.int64)
            if words.size and words.max() > LONG:
                return True
            if max((*tensor.int64_data, *tensor.int32_data), default=0) > LONG:
                return True
        elif any(dim > LONG for dim in tensor.dims):
            return True
    return False


def _has_long_vectors(model: onnx.ModelProto) -> bool:
    """Whether a vector is so long that data propagation, which writes down each element, takes too much memory."""
    return any(
        len(dims) == 1 and dims[0].dim_value > LONG
        for graph in walk_graphs(model.graph)
        for info in (*graph.input, *graph.output, *graph.value_info)
        for dims in [info.type.tensor_type.shape.dim]
    )
