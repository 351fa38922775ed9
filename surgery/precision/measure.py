"""Runs a model and measures the error of its outputs in half precision.

Errors are measured on the float32 model with every rounding written out (`verify.compare.rounding`), with graph
optimizations off so that none is removed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
FINITE_OPSET = 10  # of IsInf
ZERO = "__largest_of_infinities"


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
    """The feed with rows of zeros, if the model gives finite outputs on it; else nothing.

    They are the first row of each float input and, where the model takes that too, the last row of whole numbers and
    of truth values: what padding gives, what an epsilon that half precision rounds to 0 turns into NaN, and a mask
    that hides everything.
    """
    zeroed = {name: _zero_row(np.array(value)) for name, value in feed.items()}
    floats = {name: value if value.dtype == np.float32 else feed[name] for name, value in zeroed.items()}
    for inputs in (zeroed, floats):
        if _runs_finite(model, inputs):
            return [inputs]
    return []


def _zero_row(array: Array) -> Array:
    """The array with one row zero: the first of floats, the last of others; one of fewer than two dims stays."""
    if array.dtype == np.float32 and array.ndim and array.size:
        array.reshape(-1, array.shape[-1])[0] = 0
    elif array.dtype.kind in "iub" and array.ndim > 1 and array.size:
        array.reshape(-1, array.shape[-1])[-1] = 0
    return array


def _runs_finite(model: onnx.ModelProto, inputs: Feeds) -> bool:
    try:
        outputs = run(model, [inputs])[0]
    except Exception:  # whatever the exception, the model does not accept such inputs
        return False
    floats = [value for value in outputs.values() if value.dtype.kind == "f"]
    return all(np.isfinite(value).all() for value in floats)


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


@dataclass
class Compared:
    """The outputs of the float32 model by set of inputs, and the sets whose outputs must be finite and no more."""

    reference: Sequence[Mapping[str, Array]]
    only_finite: Container[int] = ()

    def of(self, places: Iterable[int]) -> Compared:
        """The same of these sets alone."""
        chosen = list(places)
        only_finite = {new for new, old in enumerate(chosen) if old in self.only_finite}
        return Compared([self.reference[place] for place in chosen], only_finite)

    def errors(self, found: Sequence[Mapping[str, Array]]) -> dict[str, float]:
        """The largest error of each output over all sets; infinite where one is no longer a finite number."""
        largest = dict.fromkeys(self.reference[0], 0.0)
        for place, (exact, other) in enumerate(zip(self.reference, found, strict=True)):
            for name, value in exact.items():
                size = error(value, other[name])
                if place not in self.only_finite or size == float("inf"):
                    largest[name] = max(largest[name], size)
        return largest


def set_errors(reference: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]) -> list[float]:
    """The error of the worst output by set of inputs."""
    pairs = zip(reference, found, strict=True)
    return [max((error(exact[name], other[name]) for name in exact), default=0.0) for exact, other in pairs]


def magnitudes(model: onnx.ModelProto, names: Iterable[str], feeds: Sequence[Feeds]) -> dict[str, float]:
    """Largest finite absolute value of each float32 tensor of the main graph over all feeds; infinite with a NaN.

    Infinity has a form in half precision, so a mask of -inf is no large value.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    wanted = list(dict.fromkeys(names))
    largest = {name: _largest_finite(constants[name]) for name in wanted if name in constants}
    computed = [name for name in wanted if name not in constants]
    largest |= _probed(model, computed, feeds, finite=False)
    unbounded = [name for name in computed if largest[name] == float("inf")]
    if unbounded and opsets_of(model.opset_import)[""] >= FINITE_OPSET:
        largest |= _probed(model, unbounded, feeds, finite=True)
    return largest


def _largest_finite(tensor: onnx.TensorProto) -> float:
    values = numpy_helper.to_array(tensor)
    size = np.abs(values, where=~np.isinf(values), out=np.zeros_like(values))
    return float("inf") if np.isnan(size).any() else float(size.max(initial=0.0))


def _probed(model: onnx.ModelProto, names: Sequence[str], feeds: Sequence[Feeds], *, finite: bool) -> dict[str, float]:
    """The largest absolute value of each tensor, infinities left out or not, found in one run for each feed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    opset = opsets_of(model.opset_import)[""]
    largest: dict[str, float] = {}
    probes = {}
    looks: dict[str, list[onnx.NodeProto]] = {}
    del graph.output[:]
    for number, name in enumerate(names):
        probe = f"__largest_{number}"
        probes[probe] = name
        looks[name] = list(_look(name, probe, opset, finite))
        graph.output.append(helper.make_tensor_value_info(probe, FLOAT, None))
    if probes:
        graph.initializer.append(numpy_helper.from_array(np.float32(0), ZERO))
        _look_at_once(graph, looks)
        for outputs in run(copy, feeds):
            for probe, value in outputs.items():
                size = float(np.max(value, initial=0.0))
                size = float("inf") if np.isnan(size) else size
                largest[probes[probe]] = max(size, largest.get(probes[probe], 0.0))
    return largest


def _look(name: str, probe: str, opset: int, finite: bool) -> Iterator[onnx.NodeProto]:
    """Nodes that put the largest absolute value of a tensor into `probe`."""
    size = f"{probe}_abs"
    yield helper.make_node("Abs", [name], [size])
    if finite:
        yield helper.make_node("IsInf", [size], [f"{probe}_infinite"])
        yield helper.make_node("Where", [f"{probe}_infinite", ZERO, size], [f"{probe}_finite"])
        size = f"{probe}_finite"
    yield _reduce_max(size, probe, opset)


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
