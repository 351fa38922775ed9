"""A fixed model compared with its original in one run, where they part (`surgery.guard.changed_nodes`).

The nodes the original does not have are added to it, reading its tensors, and what they hand on is subtracted from what
it has there. So the nodes that are the same run once, and nothing large has to be kept for comparing.
"""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node

from surgery.files.model_file import CHUNK
from surgery.guard.changed_nodes import Parting, Reshaped, constants, same_values
from surgery.guard.tolerances import EXACT, EXACT_FLOAT32, difference
from surgery.pipeline.opset import default_opset
from verify.model.walk import reads

NEAR = 1e-5  # of the RMS: what a place may differ by; past that the whole fixed model runs and decides
OURS = "surgeon: "  # begins the name of every tensor that is added
SMALLEST = 1e-30  # sum of squares: float32 rounds smaller ones to 0
MEASURES = ("gap", "squares", "new squares")
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Parts:
    """The places where a fixed model parts from its original, compared on one set of inputs after the other.

    Attributes:
        error: largest float difference so far, relative to the RMS of the original's values.
        trouble: why the places do not show that both compute the same ("" while they do).
        tensors: how many are compared on each set.
    """

    def __init__(
        self,
        parting: Parting,
        original: onnx.ModelProto,
        fixed: onnx.ModelProto,
        types: Mapping[str, Any],
        exact: bool,
    ) -> None:
        self.parting, self.original, self.fixed, self.exact = parting, original, fixed, exact
        self.tensors = len(set(parting.made) | set(parting.constants)) + len(parting.reshaped) + len(parting.equal)
        self.error, self.trouble = 0.0, ""
        self.outputs = [value.name for value in original.graph.output]
        self.inputs = {value.name for value in original.graph.input}
        self.constants = {tensor.name for model in (original, fixed) for tensor in model.graph.initializer}
        knows_where = default_opset(original) >= 11  # and can ask whether floats are equal
        self.types = {name: kind for name, kind in types.items() if kind in FLOATS and knows_where}
        self.pairs = [(old, OURS + name) for name, old in parting.made.items()]
        self.pairs += [(old, name) for name, old in sorted(parting.equal)]

    def watched(self, source: Any) -> bytes:
        """The original (a path or a model) with the other nodes and the comparison.

        A protobuf message behind another of its kind adds to its lists. The added nodes stand first: run in the order
        in which they are written, each runs as soon as there is what it reads, which need not be kept then.
        """
        graph = onnx.GraphProto(node=self._changed())
        for kind in sorted({self.types[old].name for old, _ in self.pairs if old in self.types}):
            zero = numpy_helper.from_array(np.zeros((), kind))
            graph.node.append(make_node("Constant", [], [OURS + kind], value=zero))
        shaped = {name for entry in self.parting.reshaped for name in (entry.before, entry.after)}
        asked = set(self.parting.constants)
        for number, (old, name) in enumerate(self.pairs):
            if old in self.types:
                shaped |= {old, name}
                graph.node.extend(_gap(number, old, name, OURS + self.types[old].name))
                asked |= {f"{OURS}{number} {what}" for what in MEASURES}
            else:
                asked |= {old, name}
        graph.node.extend(make_node("Shape", [name], [_shape_of(name)]) for name in sorted(shaped))
        asked |= {_shape_of(name) for name in shaped}
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(asked - self.inputs - set(self.outputs)))
        added = onnx.ModelProto(graph=graph).SerializeToString()
        if isinstance(source, onnx.ModelProto):
            return bytes(added + source.SerializeToString())
        whole = io.BytesIO()  # hands out what it holds without a copy of it, which may be large
        whole.write(added)
        with open(source, "rb") as stream:
            shutil.copyfileobj(stream, whole, CHUNK)
        return whole.getvalue()

    def _changed(self) -> Iterator[onnx.NodeProto]:
        """The nodes the original does not have, with names of their own for what they make and their constants."""
        old, new = constants(self.original.graph), constants(self.fixed.graph)
        made = {name for node in self.parting.changed for name in node.output}
        used = {name for node in self.parting.changed for name in reads(node)} & new.keys()
        own = {name for name in used if name not in old or not same_values(old[name], new[name])}
        for name in sorted(own):
            yield make_node("Constant", [], [OURS + name], value=new[name])
        for node in self.parting.changed:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.ClearField("name")
            names = [OURS + name if name in made | own else self.parting.needs.get(name, name) for name in node.input]
            copy.ClearField("input")
            copy.input.extend(names)
            copy.ClearField("output")
            copy.output.extend(OURS + name if name else "" for name in node.output)
            yield copy

    def take(self, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Compare on what one run of the watched original gave; its own outputs are given back, the rest may go."""
        if inputs.keys() & self.constants:
            self.trouble = "an input has a value of its own"
        if not self.trouble:
            self.trouble = self._trouble({**inputs, **values})
        return {name: values[name] for name in self.outputs}

    def _trouble(self, values: Mapping[str, Any]) -> str:
        for number, (old, name) in enumerate(self.pairs):
            trouble = self._measured(number, old, name, values) if old in self.types else None
            if trouble is None:
                trouble = self._differs(values[old], values[name])
            if trouble:
                return f"'{old}' {trouble}"
        for old, tensor in self.parting.constants.items():
            trouble = self._differs(values[old], numpy_helper.to_array(tensor))
            if trouble:
                return f"'{old}' {trouble}"
        bad = next((entry for entry in self.parting.reshaped if not _fits(entry, values)), None)
        return f"'{bad.after}' has another shape" if bad else ""

    def _differs(self, wanted: Any, got: Any) -> str:
        if not isinstance(wanted, np.ndarray) or not isinstance(got, np.ndarray):
            return "is no tensor"
        trouble, error = difference(wanted, got, self.exact, limit=None if self.exact else NEAR)
        self.error = max(self.error, error)
        return trouble

    def _measured(self, number: int, old: str, name: str, values: Mapping[str, Any]) -> str:
        """What differs by the sums the run made."""
        shape = values[_shape_of(old)].tolist()
        if shape != values[_shape_of(name)].tolist():
            return "has another shape"
        gap, squares, others = (float(values[f"{OURS}{number} {what}"]) for what in MEASURES)
        if math.isnan(squares) or math.isnan(others):
            return "has a NaN"
        if gap == 0.0:
            return ""
        if not SMALLEST < squares < math.inf:
            return "is too small or too large to be measured"
        rms = math.sqrt(squares / max(math.prod(shape), 1))
        limit = EXACT.get(self.types[old].name, EXACT_FLOAT32) if self.exact else NEAR
        self.error = max(self.error, gap / rms)
        return f"differs by {gap / rms:.2g} of its RMS (allowed {limit:g})" if not gap <= limit * rms else ""


def _gap(number: int, old: str, name: str, zero: str) -> Iterator[onnx.NodeProto]:
    """Nodes for the largest difference of two tensors, 0 for equal infinities, and their sums of squares.

    A NaN may be lost in a maximum, but not in a sum.
    """
    stem = f"{OURS}{number} "
    yield make_node("Sub", [old, name], [stem + "difference"])
    yield make_node("Abs", [stem + "difference"], [stem + "distance"])
    yield make_node("Equal", [old, name], [stem + "equal"])
    yield make_node("Where", [stem + "equal", zero, stem + "distance"], [stem + "distances"])
    yield make_node("ReduceMax", [stem + "distances"], [stem + "gap"], keepdims=0)
    yield make_node("ReduceSumSquare", [old], [stem + "squares"], keepdims=0)
    yield make_node("ReduceSumSquare", [name], [stem + "new squares"], keepdims=0)


def _shape_of(name: str) -> str:
    return f"{OURS}shape of {name}"


def _fits(entry: Reshaped, values: Mapping[str, Any]) -> bool:
    """Whether the constant shape gives the shape that the original's tensor has."""
    before, after = (tuple(values[_shape_of(name)]) for name in (entry.before, entry.after))
    shape = numpy_helper.to_array(entry.shape).tolist()
    if not entry.allow_zero:
        shape = [before[place] if not size and place < len(before) else size for place, size in enumerate(shape)]
    return len(shape) == len(after) and all(size in (-1, there) for size, there in zip(shape, after, strict=True))
