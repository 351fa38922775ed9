"""Makes a refused model small: removes metadata and unused functions, and replaces large weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import external_data_helper, helper

from verify.model.walk import domain_of

LARGE = 64

Fails = Callable[[onnx.ModelProto], bool]


def bare(model: onnx.ModelProto, fails: Fails) -> onnx.ModelProto:
    """The model without metadata, and without the functions and value types that the failure does not need."""
    slim = onnx.ModelProto()
    slim.CopyFrom(model)
    for node in slim.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    used = {(node.domain, node.op_type) for node in slim.graph.node}
    functions = [function for function in slim.functions if (function.domain, function.name) in used]
    trial = onnx.ModelProto()
    trial.CopyFrom(slim)
    del trial.functions[:]
    trial.functions.extend(functions)
    domains = {domain_of(node.domain) for owner in (trial.graph, *functions) for node in owner.node} | {""}
    imports = [entry for entry in trial.opset_import if domain_of(entry.domain) in domains]
    del trial.opset_import[:]
    trial.opset_import.extend(imports)
    return next((candidate for candidate in (trial, slim) if fails(candidate)), model)


def smaller_weights(model: onnx.ModelProto, fails: Fails, folder: Path) -> onnx.ModelProto:
    """Each large initializer as an input where the failure allows it, else generated, else zeros, else as it is.

    What stays is read from `folder` into the model, which then needs no other file.
    """
    for name in [tensor.name for tensor in model.graph.initializer if _size(tensor) > LARGE]:
        for change in (_as_input, _generated, _zeros):
            trial = change(model, name)
            if trial is not None and fails(trial):
                model = trial
                break
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return model


def _size(tensor: onnx.TensorProto) -> int:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return next((int(entry.value) for entry in tensor.external_data if entry.key == "length"), LARGE + 1)
    return int(tensor.ByteSize())


def _split(model: onnx.ModelProto, name: str) -> tuple[onnx.ModelProto, onnx.TensorProto]:
    trial = onnx.ModelProto()
    trial.CopyFrom(model)
    taken = next(tensor for tensor in trial.graph.initializer if tensor.name == name)
    rest = [tensor for tensor in trial.graph.initializer if tensor.name != name]
    del trial.graph.initializer[:]
    trial.graph.initializer.extend(rest)
    return trial, taken


def _as_input(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    trial, taken = _split(model, name)
    trial.graph.input.append(helper.make_tensor_value_info(name, taken.data_type, list(taken.dims)))
    return trial


def _generated(model: onnx.ModelProto, name: str) -> onnx.ModelProto | None:
    trial, taken = _split(model, name)
    if taken.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64):
        return None
    shape = helper.make_tensor(f"{name}_shape", onnx.TensorProto.INT64, [len(taken.dims)], list(taken.dims))
    value = helper.make_tensor("value", taken.data_type, [1], [0])
    trial.graph.initializer.append(shape)
    trial.graph.node.insert(0, helper.make_node("ConstantOfShape", [shape.name], [name], value=value))
    return trial


def _zeros(model: onnx.ModelProto, name: str) -> onnx.ModelProto | None:
    trial, taken = _split(model, name)
    length = _size(taken)
    if taken.data_location != onnx.TensorProto.EXTERNAL or length > (1 << 20):
        return None
    zeros = onnx.TensorProto(name=name, data_type=taken.data_type, dims=taken.dims, raw_data=bytes(length))
    trial.graph.initializer.append(zeros)
    return trial
