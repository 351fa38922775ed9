"""Draws the inputs for a comparison: sets of different sizes for free dims, as long as running them takes not long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from surgery.guard.fixed_sizes import fixed_sizes
from verify.inputs.draw import draw_inputs, free_dims
from verify.inputs.ranges import input_ranges
from verify.interface.recognise import recognise
from verify.interface.spec import Spec
from verify.model.infer import passes_inference
from verify.model.walk import every_node, fed_inputs
from verify.run.known_faults import EIGHT_BIT_PRODUCTS

SIZES = ((1, 1), (2, 1), (3, 2), (8, 8))
PICTURES = (16, 32, 64, 224)
SOUNDS = (1024, 4096)  # a window over which a spectrum is taken has hundreds of samples
MOST = 1 << 20  # elements of the inputs up to which SOUNDS are tried
MOST_PICTURE = 1 << 23  # elements of the inputs up to which PICTURES are tried: a batch of 224 colour pictures
NOTICED = 1.02
LARGE = 100.0  # times ordinary values
SPARSE = 5  # one in this many values is NaN or infinite
# onnxruntime crashes on these operators if a dim is 0, or leaves results unwritten.
FAILS_ON_EMPTY = (
    *EIGHT_BIT_PRODUCTS,
    "DynamicQuantizeLSTM", "Einsum", "GRU", "InstanceNormalization", "LSTM", "QAttention", "QLinearAdd", "QLinearMul",
)  # fmt: skip
MOST_EMPTY = 3  # free dims of which each is 0 once


def input_sets(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
    """Sets of inputs, the likeliest to run first; each is drawn when it is asked for."""
    yield from _usual_sets(model)
    for sizes in fixed_sizes(model):
        yield draw_inputs(model, sizes=sizes, seed=1)
        yield draw_inputs(model, sizes=sizes, seed=2, style="edge")


def _usual_sets(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
    """Sets of inputs of small sizes, and of those that pictures and sounds have."""
    keys = free_dims(model)
    spec = recognise(model)
    draw = partial(draw_inputs, model, confined=input_ranges(model))
    if spec is not None and keys:
        for seed, sizes in enumerate(_spec_sizes(spec)):
            yield draw(sizes=sizes, seed=seed)
        return
    yield draw(default_size=2)
    if not keys:
        yield draw(style="edge", seed=1)
        yield draw(seed=2)
        return
    for first, step in SIZES:
        sizes = {key: first + step * place for place, key in enumerate(keys)} if first != 8 else dict.fromkeys(keys, 8)
        yield draw(sizes=sizes, seed=first, style="edge" if first == 3 else "random")
    batches = dict.fromkeys(_batches(model), 2)
    for size in PICTURES:
        if batches and _elements_at(model, batches, size) <= MOST_PICTURE:
            yield draw(sizes=batches, default_size=size, seed=size)
        if _elements_at(model, {}, size) <= MOST_PICTURE:
            yield draw(default_size=size, seed=size)
    for size in SOUNDS:
        if _elements_at(model, batches, size) <= MOST:
            yield draw(sizes=batches, default_size=size, seed=size)


def edge_cases(model: onnx.ModelProto, ordinary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Sets of inputs at the edge of what a model takes; the original may refuse any of them.

    Args:
        ordinary: a set on which the model runs.
    """
    floats = _data(ordinary)
    if floats:
        yield {**ordinary, **{name: np.zeros_like(ordinary[name]) for name in floats}}
        yield {**ordinary, **{name: np.asarray(-np.abs(ordinary[name])) for name in floats}}
        yield enlarged(ordinary)
        yield {**ordinary, **{name: np.full_like(ordinary[name], -0.0) for name in floats}}
        yield {**ordinary, **{name: _with_specials(ordinary[name], (np.nan,)) for name in floats}}
        yield {**ordinary, **{name: _with_specials(ordinary[name], (np.inf, -np.inf)) for name in floats}}
    keys = free_dims(model)
    if keys:
        yield draw_inputs(model, sizes=dict.fromkeys(keys, 1), seed=3)
        fails = any(node.op_type in FAILS_ON_EMPTY for node in every_node(model))
        for key in [] if fails else keys[:MOST_EMPTY]:
            yield draw_inputs(model, sizes={**dict.fromkeys(keys, 2), key: 0}, seed=4)


def enlarged(ordinary: Mapping[str, Any], times: float = LARGE) -> dict[str, Any]:
    """The inputs with large values in those that hold data."""
    large = {name: np.asarray(ordinary[name] * times, ordinary[name].dtype) for name in _data(ordinary)}
    return {**ordinary, **large}


def _data(inputs: Mapping[str, Any]) -> list[str]:
    """Names of the inputs that hold floats, and more than the one of a parameter."""
    return [name for name, value in inputs.items() if _is_float(value) and value.size > 1]


def _with_specials(values: Any, specials: Sequence[float]) -> Any:
    """A copy of the values with one in `SPARSE` replaced by the specials in turn, from the first on."""
    flat = np.array(values).reshape(-1)
    places = flat[::SPARSE]
    places[:] = np.resize(specials, places.size)
    return flat.reshape(np.shape(values))


def has_specials(inputs: Mapping[str, Any]) -> bool:
    """Whether some input has NaN or infinity."""
    return any(_is_float(value) and not np.isfinite(value).all() for value in inputs.values())


def is_empty(inputs: Mapping[str, Any]) -> bool:
    """Whether some input has no elements."""
    return any(isinstance(value, np.ndarray) and not value.size for value in inputs.values())


def takes_sizes(model: onnx.ModelProto, inputs: Mapping[str, Any]) -> bool:
    """Whether ONNX's inference finds no fault at these sizes; True where it finds one whatever the sizes are.

    onnxruntime joins empty tensors that do not fit together, and hands out memory that nothing was written to.
    """
    shapes = {name: value.shape for name, value in inputs.items() if isinstance(value, np.ndarray)}
    return passes_inference(model, shapes) or not passes_inference(model, {})


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype in (np.float16, np.float32, np.float64)


def _elements_at(model: onnx.ModelProto, batches: Mapping[str, int], size: int) -> int:
    """How many all inputs have where free dims are of this size, but for those in `batches`."""
    return sum(_elements_of(value, batches, size) for value in fed_inputs(model.graph))


def _elements_of(value: onnx.ValueInfoProto, batches: Mapping[str, int], size: int) -> int:
    """How many an input of this default size has."""
    dims = value.type.tensor_type.shape.dim
    free = [batches.get(f"{value.name}:{axis}", size) for axis, dim in enumerate(dims) if not dim.HasField("dim_value")]
    return math.prod([*free, *(dim.dim_value for dim in dims if dim.HasField("dim_value"))])


def _batches(model: onnx.ModelProto) -> list[str]:
    """Free first dims of inputs that have more free dims behind them: two are enough where a picture must be large."""
    found = []
    for value in fed_inputs(model.graph):
        free = [axis for axis, dim in enumerate(value.type.tensor_type.shape.dim) if not dim.HasField("dim_value")]
        if len(free) > 1 and free[0] == 0:
            found.append(f"{value.name}:0")
    return found


def _spec_sizes(spec: Spec) -> Iterator[dict[str, int]]:
    """Sizes by "input:axis", twice, no symbol the same in both: the first set must be cheap, the second need not run.

    In the first, symbols that count what is stacked along the first axis, and make the inputs noticeably larger, have
    their least size and others one above it; in the second it is the other way round.
    """
    least = {name: spec.ranges[name][0] for name in spec.symbols()}
    more = {name: min(least[name] + 1, spec.ranges[name][-1]) for name in least}
    plain = spec.shapes(**least)

    def stacks(name: str) -> bool:
        grown = spec.shapes(**{**least, name: more[name]})
        larger = _elements(grown) > NOTICED * _elements(plain)
        return larger and any(shape[:1] != plain[port][:1] for port, shape in grown.items())

    stacked = {name for name in least if stacks(name)}
    for big in (least.keys() - stacked, stacked):
        shapes = spec.shapes(**{name: more[name] if name in big else least[name] for name in least})
        yield {f"{name}:{axis}": size for name, shape in shapes.items() for axis, size in enumerate(shape)}


def _elements(shapes: Mapping[str, Sequence[int]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def growth(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Estimate of time for the second set of inputs / time for the first: the growth of the fastest growing input."""
    ratios = [_size(after[name]) / max(_size(value), 1) for name, value in before.items() if name in after]
    return max([1.0, *ratios])


def _size(value: Any) -> int:
    return sum(map(_size, value)) if isinstance(value, (list, tuple)) else int(getattr(value, "size", 1))
