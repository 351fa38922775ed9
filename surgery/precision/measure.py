"""Runs a model and measures the error of its outputs in half precision.

Errors are measured on the float32 model with every rounding written out (`verify.compare.rounding`), with graph
optimizations off so that none is removed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from surgery.precision.candidates import FLOAT
from verify.compare.error import measure
from verify.model.walk import opsets_of

Feeds = Mapping[str, Any]
Array = np.ndarray
INLINE_LIMIT = 1_500_000_000


def run(model: onnx.ModelProto, feeds: Sequence[Feeds], *, optimize: bool = False) -> list[dict[str, Array]]:
    """Outputs by name for each feed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_BASIC if optimize else level.ORT_DISABLE_ALL
    # In file order; else the nodes that inspect tensors run last, and every tensor stays in memory until then.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime.InferenceSession(_source(model, folder), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in model.graph.output]
        wanted = {value.name for value in session.get_inputs()}
        return [
            dict(zip(names, session.run(None, {n: v for n, v in feed.items() if n in wanted}), strict=True))
            for feed in feeds
        ]


def _source(model: onnx.ModelProto, folder: str) -> Any:
    if model.ByteSize() < INLINE_LIMIT:
        return model.SerializeToString()
    path = Path(folder) / "model.onnx"
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save(copy, path, save_as_external_data=True, location="weights")
    return str(path)


def with_zero_rows(model: onnx.ModelProto, feed: Feeds) -> list[dict[str, Array]]:
    """The feed with the first row of each float input zero, if the model gives finite outputs on it; else nothing.

    A row of zeros is what padding gives, and what an epsilon that half precision rounds to 0 turns into NaN.
    """
    zeroed = {}
    for name, value in feed.items():
        array = np.array(value)
        if array.dtype == np.float32 and array.ndim and array.size:
            array.reshape(-1, array.shape[-1])[0] = 0
        zeroed[name] = array
    try:
        outputs = run(model, [zeroed])[0]
    except Exception:  # whatever the exception, the model does not accept such inputs
        return []
    floats = [value for value in outputs.values() if value.dtype.kind == "f"]
    return [zeroed] if all(np.isfinite(value).all() for value in floats) else []


def error(reference: Array, found: Array) -> float:
    """Root mean square of the difference over that of the reference; infinite where one is not a number.

    For integers, booleans and tensors that hold just two values (a mask cut at a threshold, where each element that
    crosses it would count in full) the share of elements that differ.
    """
    if not reference.size:
        return 0.0
    if not np.issubdtype(reference.dtype, np.floating) or _two_values(reference):
        return float(np.mean(reference != found))
    found_error = measure(found, reference)
    return found_error.root_mean_square if found_error.same_places else float("inf")


def _two_values(array: Array) -> bool:
    low, high = array.min(), array.max()
    return bool(low < high and array.size > 2 and np.all((array == low) | (array == high)))


def errors(reference: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]) -> dict[str, float]:
    """The largest error of each output over all feeds."""
    return {
        name: max(error(exact[name], other[name]) for exact, other in zip(reference, found, strict=True))
        for name in reference[0]
    }


def magnitudes(model: onnx.ModelProto, names: Iterable[str], feeds: Sequence[Feeds]) -> dict[str, float]:
    """Largest absolute value of each float32 tensor of the main graph over all feeds; nan counts as infinite."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    opset = opsets_of(model.opset_import)[""]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    largest: dict[str, float] = {}
    probes = {}
    looks: dict[str, list[onnx.NodeProto]] = {}
    del graph.output[:]
    for number, name in enumerate(dict.fromkeys(names)):
        if name in constants:
            values = numpy_helper.to_array(constants[name])
            largest[name] = float(np.max(np.abs(values), initial=0.0))
            continue
        probe = f"__largest_{number}"
        probes[probe] = name
        looks[name] = [helper.make_node("Abs", [name], [f"{probe}_abs"]), _reduce_max(f"{probe}_abs", probe, opset)]
        graph.output.append(helper.make_tensor_value_info(probe, FLOAT, None))
    if probes:
        _look_at_once(graph, looks)
        for outputs in run(copy, feeds):
            for probe, value in outputs.items():
                size = float(np.max(value, initial=0.0))
                size = float("inf") if np.isnan(size) else size
                largest[probes[probe]] = max(size, largest.get(probes[probe], 0.0))
    return largest


def _look_at_once(graph: onnx.GraphProto, looks: dict[str, list[onnx.NodeProto]]) -> None:
    """Put the nodes that inspect a tensor directly after the node that makes it."""
    inputs = [node for value in graph.input for node in looks.get(value.name, ())]
    made = [[node, *(look for name in node.output for look in looks.get(name, ()))] for node in graph.node]
    nodes = [*inputs, *(node for group in made for node in group)]
    del graph.node[:]
    graph.node.extend(nodes)


def _reduce_max(source: str, target: str, opset: int) -> onnx.NodeProto:
    node = helper.make_node("ReduceMax", [source], [target], keepdims=0)
    if opset >= 18:
        node.attribute.append(helper.make_attribute("noop_with_empty_axes", 0))
    return node
