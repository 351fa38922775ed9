"""Masks that half precision cannot hold, such as -3.4e38 added to the scores of an attention, bounded below.

float32's lowest number is infinite in half precision, and a row in which every score is masked becomes NaN in the
softmax. Bounded, the mask still makes every weight zero beside an unmasked score. The bound is where the numbers of the
type lie so far apart that an ordinary score does not change the sum: a row that is masked whole stays uniform.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from surgery.precision.candidates import FLOAT, Key
from surgery.precision.casts import HEADROOM, LARGEST
from verify.compare.rounding import drop_unread, free_name
from verify.model.walk import domain_of, node_name, opsets_of, tensor_names

BOUND = {"fp16": -49152.0, "bf16": -(2.0**127)}
BROADCASTING_OPSET = 8  # Max broadcasts since then
BOUNDED, LIMIT = "__bounded", "__limit"


@dataclass(frozen=True)
class Masks:
    """A model that also computes a bounded form of each low mask, and the Adds that may read it.

    places   by the key of each Add the place among its inputs, and the name of the bounded form
    """

    model: onnx.ModelProto
    places: Mapping[Key, tuple[int, str]]

    def bounded(self, keys: Container[Key]) -> onnx.ModelProto:
        """The model in which those of the Adds that are among `keys` read the bounded form."""
        chosen = {key: place for key, place in self.places.items() if key in keys}
        if not chosen:
            return self.model
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        for (_, index), (place, name) in chosen.items():
            copy.graph.node[index].input[place] = name
        return copy

    def unread(self, keys: Container[Key]) -> set[str]:
        """Bounded forms that no Add among `keys` reads."""
        return {name for _, name in self.places.values()} - {self.places[key][1] for key in self.places if key in keys}

    def sizes(self, largest: Mapping[str, float]) -> dict[str, float]:
        """`largest` with scores plus bounded masks as large as the scores: `low_masks` left room for the masks."""
        found = dict(largest)
        for (_, index), (place, name) in self.places.items():
            add = self.model.graph.node[index]
            found[name] = 0.0
            found[add.output[0]] = found.get(add.input[1 - place], 0.0)
        return found


def without(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Remove the nodes and initializers that make these tensors, which nothing reads."""
    kept = [_copied(node) for node in graph.node if not set(node.output) & set(names)]
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)
    drop_unread(graph, {*names, *(name + LIMIT for name in names)})


def low_masks(model: onnx.ModelProto, largest: Mapping[str, float], kind: str, skip: frozenset[str]) -> Masks:
    """The masks that half precision cannot hold, with their bounded forms; nothing reads those yet.

    A mask is what an Add joins with scores that only a Softmax reads.

    Args:
        model: with inferred types; left unchanged.
        largest: absolute value of each tensor on the inputs that are measured.
        kind: "fp16" or "bf16".
        skip: names of nodes that are left alone.
    """
    if opsets_of(model.opset_import).get("", 0) < BROADCASTING_OPSET:
        return Masks(model, {})
    places = [
        (index, place)
        for index, node in _masked(model.graph, skip)
        for place, other in ((0, 1), (1, 0))
        if largest.get(node.input[place], 0.0) > LARGEST[kind] / HEADROOM
        and largest.get(node.input[other], 0.0) <= LARGEST[kind] + BOUND[kind]
    ]
    if not places:
        return Masks(model, {})
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return Masks(copy, _add_forms(copy.graph, places, BOUND[kind], set(tensor_names(copy.graph))))


def _masked(graph: onnx.GraphProto, skip: frozenset[str]) -> Iterator[tuple[int, onnx.NodeProto]]:
    """Each Add of float32 whose one reader is a Softmax, by its place."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    for index, node in enumerate(graph.node):
        if node.op_type != "Add" or domain_of(node.domain) or node_name(node) in skip or node.output[0] in outputs:
            continue
        users = readers.get(node.output[0], [])
        if len(users) == 1 and users[0].op_type == "Softmax" and node_name(users[0]) not in skip:
            yield index, node


def _add_forms(
    graph: onnx.GraphProto, places: list[tuple[int, int]], bound: float, taken: set[str]
) -> dict[Key, tuple[int, str]]:
    """Put the bounded form of each mask before the first Add that reads it; the Adds by their new keys."""
    listed = {value.name for value in graph.input}
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in listed}
    forms: dict[str, str] = {}
    before: dict[int, onnx.NodeProto] = {}
    for index, place in places:
        name = graph.node[index].input[place]
        if name in forms:
            continue
        forms[name] = free_name(name + BOUNDED, taken)
        if name in constants:
            values = np.maximum(numpy_helper.to_array(constants[name]), np.float32(bound))
            graph.initializer.append(numpy_helper.from_array(values, forms[name]))
        else:
            limit = forms[name] + LIMIT
            taken.add(limit)
            graph.initializer.append(numpy_helper.from_array(np.float32(bound), limit))
            before[index] = helper.make_node("Max", [name, limit], [forms[name]], name=forms[name])
            _declare(graph, name, forms[name])
    adds, found = dict(places), {}
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(graph.node):
        nodes += [before[index]] if index in before else []
        if index in adds:
            found["", len(nodes)] = (adds[index], forms[node.input[adds[index]]])
        nodes.append(_copied(node))
    del graph.node[:]
    graph.node.extend(nodes)
    return found


def _declare(graph: onnx.GraphProto, source: str, name: str) -> None:
    """Declare the tensor with the type and shape of `source`."""
    declared = next((value for value in (*graph.value_info, *graph.input) if value.name == source), None)
    value = graph.value_info.add()
    if declared is None:
        value.type.tensor_type.elem_type = FLOAT
    else:
        value.CopyFrom(declared)
    value.name = name


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
