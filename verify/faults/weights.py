"""Faults in stored numbers: each function changes a model in place and names the place; "" if it has none."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from verify.model.walk import walk_graphs, walk_nodes

Array = np.ndarray[Any, np.dtype[Any]]
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
EIGHT_BITS = (TensorProto.INT8, TensorProto.UINT8)
# Whole numbers beyond this mean "to the end" in Slice, where one more or less changes nothing.
MOST_WHOLE = 1 << 30


def stored(model: onnx.ModelProto, types: tuple[int, ...], least: int = 1) -> list[tuple[str, onnx.TensorProto]]:
    """Name and tensor of everything stored in one of `types` with at least `least` elements that some node reads."""
    read = {name for node in walk_nodes(model.graph.node) for name in node.input}
    read |= {value.name for graph in walk_graphs(model.graph) for value in graph.output}
    named = [(t.name, t) for graph in walk_graphs(model.graph) for t in graph.initializer]
    for node in walk_nodes(model.graph.node):
        if node.op_type == "Constant":
            named += [(node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t")]
    return [
        (name, tensor)
        for name, tensor in named
        if name in read
        and tensor.data_location != TensorProto.EXTERNAL
        and tensor.data_type in types
        and math.prod(tensor.dims) >= least
    ]


def _put(tensor: onnx.TensorProto, array: Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def _one_element(types: tuple[int, ...], change: Callable[[Any], Any]) -> Callable[..., str]:
    def plant(model: onnx.ModelProto, pick: random.Random) -> str:
        found = stored(model, types)
        if not found:
            return ""
        name, tensor = pick.choice(found)
        array = numpy_helper.to_array(tensor).copy()
        usable = np.flatnonzero(np.isfinite(array) & (np.abs(array.astype(np.float64)) < MOST_WHOLE) & (array != 0))
        if types != FLOATS:
            usable = np.flatnonzero(np.abs(array.astype(np.int64)) < MOST_WHOLE)
        if not len(usable):
            return ""
        flat = array.reshape(-1)
        place = int(usable[pick.randrange(len(usable))])
        flat[place] = change(flat[place])
        _put(tensor, array)
        return f"{name}{_index(place, array.shape)}"

    return plant


def _index(place: int, shape: tuple[int, ...]) -> str:
    return str([int(i) for i in np.unravel_index(place, shape)]) if shape else ""


def _step(value: Any) -> Any:
    """The neighbouring eight-bit number."""
    return value + 1 if int(value) < 100 else value - 1


def tensor_larger(model: onnx.ModelProto, pick: random.Random) -> str:
    """All numbers of a tensor 2 % larger."""
    found = [entry for entry in stored(model, FLOATS) if numpy_helper.to_array(entry[1]).any()]
    if not found:
        return ""
    name, tensor = pick.choice(found)
    array = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        _put(tensor, (array * array.dtype.type(1.02)).astype(array.dtype))
    return name


def _row(types: tuple[int, ...], swap: bool) -> Callable[..., str]:
    """A row or channel of a tensor that is zero, or two of them swapped."""

    def plant(model: onnx.ModelProto, pick: random.Random) -> str:
        found = [entry for entry in stored(model, types, 4) if len(entry[1].dims) > 1 or swap]
        if not found:
            return ""
        name, tensor = pick.choice(found)
        array = numpy_helper.to_array(tensor).copy()
        axis = pick.randrange(array.ndim)
        rows = np.moveaxis(array, axis, 0)
        here, there = pick.randrange(len(rows)), pick.randrange(len(rows))
        if swap:
            if np.array_equal(rows[here], rows[there]):
                return ""
            rows[[here, there]] = rows[[there, here]]
        elif not rows[here].any():
            return ""
        else:
            rows[here] = 0
        _put(tensor, array)
        both = f"{here} and {there}" if swap else str(here)
        return f"{name}, axis {axis}, row {both}"

    return plant


KINDS: dict[str, Callable[[onnx.ModelProto, random.Random], str]] = {
    "a weight with the other sign": _one_element(FLOATS, lambda value: -value),
    "a weight 10 % larger": _one_element(FLOATS, lambda value: value * 1.1),
    "a tensor 2 % larger": tensor_larger,
    "a row of weights is zero": _row(FLOATS, swap=False),
    "two rows of weights swapped": _row(FLOATS, swap=True),
    "a whole number off by one": _one_element((TensorProto.INT64, TensorProto.INT32), lambda value: value + 1),
    "an eight-bit number off by one": _one_element(EIGHT_BITS, _step),
    "a row of eight-bit numbers is zero": _row(EIGHT_BITS, swap=False),
}
