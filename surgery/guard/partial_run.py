"""Compares a fixed model with its original in one run: the original with the changed nodes of the fixed model added.

The changed nodes (`surgery.guard.changed_nodes`) read tensors of the original, and their outputs are subtracted from
the tensors they replace. So nodes that both models have run once, and no large tensor is kept for the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

from surgery.files import streaming
from surgery.graph.protos import copy_fields
from surgery.guard.changed_nodes import ChangedNodes, ConstantReshape, constants, same_values
from surgery.guard.short_forms import short_forms
from surgery.guard.tolerances import EXACT, EXACT_FLOAT32, difference
from surgery.pipeline.opset import default_opset
from verify.model.walk import reads

NEAR = 1e-5  # of the RMS: how far a tensor may differ; beyond that the whole fixed model runs and decides
OURS = "surgeon: "  # prefix of the names of all added tensors
SMALLEST = 1e-30  # sum of squares: float32 rounds smaller ones to 0
MEASURES = ("gap", "squares", "new squares")
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class Agreement:
    """Whether the changed tensors agree with the original.

    Attributes:
        trouble: why the comparison does not show that both models compute the same ("" where it does).
        error: largest float difference, relative to the RMS of the original's values.
    """

    trouble: str = ""
    error: float = 0.0

    def and_then(self, other: Agreement) -> Agreement:
        """The result of two comparisons together."""
        return Agreement(self.trouble or other.trouble, max(self.error, other.error))


class PartialRun:
    """The original with the changed nodes of a fixed model, and how to compare what one run of it gives.

    Attributes:
        changed: the nodes.
        exact: whether only exact passes were used.
        near: how far a tensor may differ else, in parts of its RMS.
        tensors: how many tensors are compared.
        shapes: of tensors of the fixed model, as far as they are known.
    """

    def __init__(
        self,
        changed: ChangedNodes,
        original: onnx.ModelProto,
        fixed: onnx.ModelProto,
        types: Mapping[str, Any],
        exact: bool,
        shapes: Mapping[str, Sequence[Any]] | None = None,
        near: float = NEAR,
    ) -> None:
        self.changed, self.original, self.fixed, self.exact, self.near = changed, original, fixed, exact, near
        self.tensors = len(set(changed.outputs) | set(changed.constants)) + len(changed.reshapes) + len(changed.equal)
        self.outputs = [value.name for value in original.graph.output]
        self.inputs = {value.name for value in original.graph.input}
        self.constants = {tensor.name for model in (original, fixed) for tensor in model.graph.initializer}
        can_compare = default_opset(original) >= 11  # Equal takes floats since opset 11
        self.types = {name: kind for name, kind in types.items() if kind in FLOATS and can_compare}
        self.pairs = [(old, OURS + name) for name, old in changed.outputs.items()]
        self.pairs += [(old, name) for name, old in sorted(changed.equal)]
        self.shapes = shapes or {}

    @cached_property
    def short(self) -> dict[str, list[onnx.NodeProto]]:
        """What runs in place of nodes that take long, by first output."""
        floats = {name for name, kind in self.types.items() if kind == np.float32}
        nodes = [node for node in self.original.graph.node if node.output and node.output[0] in floats]
        known = dict(self.shapes)
        for node in nodes:
            for old, new in zip(node.input, getattr(self.changed.kept.get(node.output[0]), "input", ()), strict=False):
                if old not in known and new in known:
                    known[old] = known[new]
        return short_forms(nodes, self.changed.kept, constants(self.original.graph), known, OURS)

    def model(self, source: Any, short: bool = False) -> bytes:
        """The original with the changed nodes and the comparison.

        A protobuf message behind another of its kind adds to its lists. The added nodes stand first: run in the order
        in which they are written, each runs as soon as its inputs exist, which then need not be kept.

        Args:
            source: the original as the runner takes it.
            short: with short forms of the nodes that take long.
        """
        graph = onnx.GraphProto(node=self._added_nodes())
        for kind in sorted({self.types[old].name for old, _ in self.pairs if old in self.types}):
            zero = numpy_helper.from_array(np.zeros((), kind))
            graph.node.append(make_node("Constant", [], [OURS + kind], value=zero))
        shaped = {name for entry in self.changed.reshapes for name in (entry.data, entry.reshaped)}
        wanted = set(self.changed.constants)
        for number, (old, name) in enumerate(self.pairs):
            if old in self.types:
                shaped |= {old, name}
                graph.node.extend(_difference_nodes(number, old, name, OURS + self.types[old].name))
                wanted |= {f"{OURS}{number} {what}" for what in MEASURES}
            else:
                wanted |= {old, name}
        graph.node.extend(make_node("Shape", [name], [_shape_of(name)]) for name in sorted(shaped))
        wanted |= {_shape_of(name) for name in shaped}
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted - self.inputs - set(self.outputs)))
        added = onnx.ModelProto(graph=graph).SerializeToString()
        return b"".join(
            [added, *self._serialized(source if isinstance(source, onnx.ModelProto) else self.original, short)]
        )

    def _serialized(self, original: onnx.ModelProto, short: bool) -> Iterator[bytes]:
        """The original in pieces, weights that no node reads left out."""
        rest = onnx.ModelProto()
        copy_fields(original, rest, {"graph"})
        copy_fields(original.graph, rest.graph, {"initializer", "node"})
        yield rest.SerializeToString()
        forms = self.short if short else {}
        used = {*self.inputs, *self.outputs}
        for node in original.graph.node:
            for one in forms.get(node.output[0], [node]) if node.output else [node]:
                used.update(reads(one))
                yield from streaming.in_graph(one)
        for tensor in original.graph.initializer:
            if tensor.name in used:
                yield from streaming.in_graph(tensor)

    def _added_nodes(self) -> Iterator[onnx.NodeProto]:
        """The changed nodes, with names of their own for their outputs and constants."""
        old, new = constants(self.original.graph), constants(self.fixed.graph)
        made = {name for node in self.changed.nodes for name in node.output}
        used = {name for node in self.changed.nodes for name in reads(node)} & new.keys()
        own = {name for name in used if name not in old or not same_values(old[name], new[name])}
        read = self.changed.inputs
        for name in sorted(own):
            yield make_node("Constant", [], [OURS + name], value=new[name])
        for node in self.changed.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.ClearField("name")
            names = [read.get(name, OURS + name if name in made | own else name) for name in node.input]
            copy.ClearField("input")
            copy.input.extend(names)
            copy.ClearField("output")
            copy.output.extend(OURS + name if name else "" for name in node.output)
            yield copy

    def compare(self, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> Agreement:
        """Whether the changed tensors agree, from the inputs and outputs of one run of `model`."""
        if inputs.keys() & self.constants:
            return Agreement("an input replaces an initializer")
        values = {**inputs, **values}
        found = Agreement()
        for number, (old, name) in enumerate(self.pairs):
            measured = self._measured(number, old, name, values) if old in self.types else None
            measured = measured or self._difference(values[old], values[name])
            found = found.and_then(_at(old, measured))
            if found.trouble:
                return found
        for old, tensor in self.changed.constants.items():
            found = found.and_then(_at(old, self._difference(values[old], numpy_helper.to_array(tensor))))
            if found.trouble:
                return found
        bad = next((entry for entry in self.changed.reshapes if not _same_shape(entry, values)), None)
        return found.and_then(Agreement(f"'{bad.reshaped}' has another shape")) if bad else found

    def original_outputs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of the original among those of one run of `model`."""
        return {name: values[name] for name in self.outputs}

    def _difference(self, wanted: Any, got: Any) -> Agreement:
        if not isinstance(wanted, np.ndarray) or not isinstance(got, np.ndarray):
            return Agreement("is no tensor")
        return Agreement(*difference(wanted, got, self.exact, limit=None if self.exact else self.near))

    def _measured(self, number: int, old: str, name: str, values: Mapping[str, Any]) -> Agreement:
        """What the sums that the run computed say of one pair of tensors."""
        shape = values[_shape_of(old)].tolist()
        if shape != values[_shape_of(name)].tolist():
            return Agreement("has another shape")
        if not math.prod(shape):
            return Agreement()
        gap, squares, others = (float(values[f"{OURS}{number} {what}"]) for what in MEASURES)
        if math.isnan(squares) or math.isnan(others):
            return Agreement("has a NaN")
        if gap == 0.0:
            return Agreement()
        if not SMALLEST < squares < math.inf:
            return Agreement("is too small or too large to be measured")
        rms = math.sqrt(squares / max(math.prod(shape), 1))
        limit = EXACT.get(self.types[old].name, EXACT_FLOAT32) if self.exact else self.near
        too_far = f"differs by {gap / rms:.2g} of its RMS (allowed {limit:g})"
        return Agreement("" if gap <= limit * rms else too_far, gap / rms)


def _at(tensor: str, found: Agreement) -> Agreement:
    return Agreement(f"'{tensor}' {found.trouble}", found.error) if found.trouble else found


def _difference_nodes(number: int, old: str, name: str, zero: str) -> Iterator[onnx.NodeProto]:
    """Nodes for the largest difference of two tensors, 0 for equal infinities, and their sums of squares.

    A NaN may be lost in a maximum, but not in a sum. Infinities, which make the sum infinite, are looked for only then.
    """
    stem = f"{OURS}{number} "
    yield make_node("Sub", [old, name], [stem + "difference"])
    yield make_node("ReduceSumSquare", [old], [stem + "squares"], keepdims=0)
    yield make_node("ReduceSumSquare", [name], [stem + "new squares"], keepdims=0)
    yield make_node("ReduceMax", [stem + "difference"], [stem + "highest"], keepdims=0)
    yield make_node("ReduceMin", [stem + "difference"], [stem + "lowest"], keepdims=0)
    yield make_node("Neg", [stem + "lowest"], [stem + "deepest"])
    yield make_node("IsInf", [stem + "squares"], [stem + "infinite"])
    finite = [make_node("Max", [stem + "highest", stem + "deepest"], [stem + "finite gap"])]
    infinite = [
        make_node("Abs", [stem + "difference"], [stem + "distance"]),
        make_node("Equal", [old, name], [stem + "equal"]),
        make_node("Where", [stem + "equal", zero, stem + "distance"], [stem + "distances"]),
        make_node("ReduceMax", [stem + "distances"], [stem + "infinite gap"], keepdims=0),
    ]
    branches = {
        "then_branch": onnx.GraphProto(name="infinite", node=infinite, output=[_untyped(stem + "infinite gap")]),
        "else_branch": onnx.GraphProto(name="finite", node=finite, output=[_untyped(stem + "finite gap")]),
    }
    yield make_node("If", [stem + "infinite"], [stem + "gap"], **branches)


def _untyped(name: str) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name)


def _shape_of(name: str) -> str:
    return f"{OURS}shape of {name}"


def _same_shape(entry: ConstantReshape, values: Mapping[str, Any]) -> bool:
    """Whether the constant shape gives the shape that the original's tensor has."""
    before, after = (tuple(values[_shape_of(name)]) for name in (entry.data, entry.reshaped))
    shape = numpy_helper.to_array(entry.shape).tolist()
    if not entry.allow_zero:
        shape = [before[place] if not size and place < len(before) else size for place, size in enumerate(shape)]
    return len(shape) == len(after) and all(size in (-1, there) for size, there in zip(shape, after, strict=True))
