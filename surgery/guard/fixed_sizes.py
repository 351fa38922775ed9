"""Sizes of free dims that a model demands: an export traced at one size may have Reshapes to that size."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import uses_external_data

from verify.inputs.draw import draw_inputs, free_dims
from verify.inputs.ranges import input_ranges
from verify.model.walk import reads, tensors
from verify.run.known_faults import onnxruntime_fault
from verify.run.session import open_session

STARTS = (2, 1, 3)  # sizes from which the others are found
MOST_KEYS = 4
LONGEST = 10.0  # seconds of one run; at sizes that take longer the model is taken not to run

Sizes = dict[str, int]


def fixed_sizes(model: onnx.ModelProto) -> Iterator[Sizes]:
    """Sizes by key (see `free_dims`) at which each Reshape to constant sizes gets as many elements as it must.

    The model is run up to the first of these Reshapes at a few sizes. Nothing where there is none, or the model has
    more than `MOST_KEYS` free dims.

    Args:
        model: with its weights; nothing is found of one whose weights are in another file.
    """
    keys = free_dims(model)
    if not 0 < len(keys) <= MOST_KEYS or any(uses_external_data(tensor) for tensor in tensors(model)):
        return
    wanted = _wanted(model)
    if not wanted or onnxruntime_fault(model):
        return
    count = _Counts(model, wanted)
    found: list[Sizes] = []
    for start in STARTS:
        sizes = _fitted(count, dict.fromkeys(keys, start), wanted)
        if sizes is not None and sizes not in found:
            found.append(sizes)
            yield sizes


def _wanted(model: onnx.ModelProto) -> dict[str, int]:
    """By the tensor that a Reshape to constant sizes reads, the number of its elements; not behind another of them."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], value.t) for value in node.attribute if value.name == "value")
    found: dict[str, int] = {}
    behind: set[str] = set()
    for node in model.graph.node:
        sizes = _sizes(node, constants)
        if not behind.isdisjoint(reads(node)):
            behind.update(node.output)
        elif sizes:
            found[node.input[0]] = math.prod(sizes)
            behind.update(node.output)
    return found


def _sizes(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> list[int]:
    """The sizes that a Reshape gives, where all are constant and above 0; else none."""
    if node.op_type != "Reshape" or len(node.input) < 2 or node.input[1] not in constants:
        return []
    sizes: list[int] = numpy_helper.to_array(constants[node.input[1]]).ravel().tolist()
    return sizes if len(sizes) > 1 and min(sizes) > 0 else []


class _Counts:
    """Runs the nodes in front of some tensors, and counts their elements."""

    def __init__(self, model: onnx.ModelProto, names: Mapping[str, int]) -> None:
        self.draw = partial(draw_inputs, model, confined=input_ranges(model))
        self.session = open_session(_up_to(model, names), threads=os.cpu_count() or 1)
        self.known: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}

    def __call__(self, sizes: Sizes) -> dict[str, int]:
        """Elements by tensor; none where the model does not run so far at these sizes."""
        key = tuple(sizes.items())
        if key not in self.known:
            outputs = self.session.run(self.draw(sizes=sizes), timeout=LONGEST).outputs
            self.known[key] = {name: int(np.size(value)) for name, value in outputs.items()}
        return self.known[key]


def _up_to(model: onnx.ModelProto, names: Mapping[str, Any]) -> onnx.ModelProto:
    """The model with these tensors as its outputs, and the nodes that they need."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    needed, kept = set(names), []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(reads(node))
            kept.append(node)
    del copy.graph.node[:], copy.graph.output[:], copy.graph.value_info[:]
    copy.graph.node.extend(reversed(kept))
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _fitted(count: _Counts, sizes: Sizes, wanted: Mapping[str, int]) -> Sizes | None:
    """`sizes` with those keys changed on which the counts depend linearly; None where that fits nothing."""
    counts = count(sizes)
    for key in sizes:
        unfit = [name for name in counts if counts[name] != wanted[name]]
        if not unfit:
            break
        more = count({**sizes, key: sizes[key] + 1})
        changed = {_solved(sizes[key], counts[name], more.get(name, 0), wanted[name]) for name in unfit} - {0}
        if len(changed) == 1:
            sizes = {**sizes, key: changed.pop()}
            counts = count(sizes)
    fits = bool(counts) and all(counts[name] == wanted[name] for name in counts)
    return sizes if fits else None


def _solved(size: int, now: int, next_one: int, wanted: int) -> int:
    """The size at which a count is as wanted, from those at `size` and one above; 0 where there is none."""
    if next_one <= now:
        return 0
    more, rest = divmod(wanted - now, next_one - now)
    return 0 if rest or size + more < 1 else size + more
