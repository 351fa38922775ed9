"""ONNX's own checker, which takes two copies of what it checks: of a large model all weights but one at a time."""

from __future__ import annotations

import os
from typing import Any

import onnx

from surgery.graph.protos import copy_fields
from verify.model.negative_sizes import declared_negative
from verify.run.known_faults import ends_process

LARGE = 1 << 26  # bytes of a file
SMALL = 1 << 10  # bytes of a weight that stays where it is


def check(model: onnx.ModelProto, source: Any, full: bool = False) -> None:
    """Check a model.

    Args:
        model: what lies in `source`, weights included unless they are external.
        source: the model, or the path of its file.
        full: compare what it declares of its tensors with what ONNX infers, too.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError: it is not valid ONNX.
    """
    if full and (why := ends_process(model)):
        raise ValueError(why)
    if full and (name := declared_negative(model)):
        raise ValueError(f"'{name}' is declared with a size below zero")
    size = os.path.getsize(source) if isinstance(source, str) else 0
    if size < LARGE:
        onnx.checker.check_model(source, full_check=full)
        return
    bare = onnx.ModelProto()
    copy_fields(model, bare, {"graph"})
    copy_fields(model.graph, bare.graph, {"initializer"})
    listed = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < SMALL:
            bare.graph.initializer.append(tensor)
            continue
        onnx.checker.check_tensor(tensor)
        if tensor.name not in listed:
            value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            bare.graph.input.append(value)
    onnx.checker.check_model(bare, full_check=full)
