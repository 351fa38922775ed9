"""Writes a choice of precision into a model, as Casts for TensorRT or as roundings for measuring.

A tensor keeps its name wherever it is float32; its half-precision form is the same name with a suffix. Each form is
made once for each graph, so a tensor read by ten half-precision nodes costs one Cast.
"""

from __future__ import annotations

from collections.abc import Mapping

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

from surgery.precision.candidates import FLOAT, HEAVY, MOVES, Key, Scope, data_inputs, data_outputs, scopes
from verify.compare.rounding import Lowered, drop_unread, lower_values, round_tensors, rounded_constant
from verify.model.walk import reads, tensor_names

SUFFIX = {"fp16": "__fp16", "bf16": "__bf16"}
DTYPE = {"fp16": "float16", "bf16": "bfloat16"}
ONNX_TYPE = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}
LARGEST = {"fp16": 65504.0, "bf16": float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)}
# Values this close to the type's largest may exceed it on inputs that were not measured.
HEADROOM = 2.0
NEGLIGIBLE = 1e-6

Choice = Mapping[Key, str]


def with_casts(model: onnx.ModelProto, choice: Choice) -> onnx.ModelProto:
    """A copy of the model in which the nodes of `choice` compute in the precision it names ("fp16" or "bf16").

    Graph inputs and outputs keep name and type.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    taken = set(tensor_names(copy.graph))
    for scope in list(scopes(copy.graph)):
        mine = {key[1]: kind for key, kind in choice.items() if key[0] == scope.path}
        if mine:
            _Rewriter(scope, mine, taken).run()
    return copy


def with_roundings(model: onnx.ModelProto, choice: Choice) -> onnx.ModelProto:
    """A float32 copy of the model that rounds what the nodes of `choice` read and write to their precision."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    taken = set(tensor_names(copy.graph))
    for scope in list(scopes(copy.graph)):
        lowered = {}
        for (path, index), kind in choice.items():
            if path == scope.path:
                node = scope.graph.node[index]
                inputs, outputs = frozenset(data_inputs(scope, node)), frozenset(data_outputs(scope, node))
                lowered[index] = Lowered(DTYPE[kind], inputs, outputs, moves=node.op_type in MOVES)
        if lowered:
            round_tensors(scope.graph, lowered, taken)
    return copy


def with_rounded_weights(model: onnx.ModelProto, kind: str) -> onnx.ModelProto:
    """A copy of the model whose products and convolutions read weights rounded to this precision."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = {name for node in copy.graph.node if node.op_type in HEAVY for name in node.input}
    for tensor in copy.graph.initializer:
        if tensor.name in weights and tensor.data_type == FLOAT and not loses_values(tensor, kind, zeros=False):
            tensor.CopyFrom(rounded_constant(tensor, tensor.name, DTYPE[kind]))
    return copy


class _Rewriter:
    """Rewrites one graph; `emitted` is its new node list."""

    def __init__(self, scope: Scope, mine: Mapping[int, str], taken: set[str]) -> None:
        self.scope, self.mine, self.taken = scope, mine, taken
        self.forms: dict[tuple[str, str], str] = {}
        graph = scope.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        overridable = {value.name for value in graph.input}
        self.constants = {n: t for n, t in self.constants.items() if n not in overridable}
        self.held: dict[str, str] = {}
        self.emitted: list[onnx.NodeProto] = []
        self.full = self._read_in_full(graph)

    def _read_in_full(self, graph: onnx.GraphProto) -> set[str]:
        """Tensors needed as float32: outputs, and inputs of nodes that stay, of branches, or that hold sizes."""
        names = {value.name for value in graph.output}
        for index, node in enumerate(graph.node):
            low = set(data_inputs(self.scope, node)) if index in self.mine else set()
            names |= set(reads(node)) - low
        return names

    def run(self) -> None:
        graph = self.scope.graph
        for index, node in enumerate(list(graph.node)):
            kind = self.mine.get(index)
            if kind is None:
                self.emitted.append(node)
                continue
            self._lower(node, kind)
        dropped = {name for name in self.held if name not in self.full}
        nodes = list(self.emitted)
        del graph.node[:]
        graph.node.extend(nodes)
        self._forget(graph, dropped)

    def _lower(self, node: onnx.NodeProto, kind: str) -> None:
        lowered = set(data_inputs(self.scope, node))
        outputs = data_outputs(self.scope, node)
        new = onnx.NodeProto()
        new.CopyFrom(node)
        for position, name in enumerate(node.input):
            if name in lowered:
                new.input[position] = self._form(name, kind)
        after = []
        for position, name in enumerate(node.output):
            if name in outputs:
                new.output[position], casts = self._output(name, kind)
                after += casts
        self.emitted += [new, *after]

    def _form(self, name: str, kind: str) -> str:
        """Name of the tensor in this precision, made where it is not there yet."""
        known = (name, kind) in self.forms
        form = self._named(name, kind)
        if not known:
            if name in self.constants:
                self.scope.graph.initializer.append(self._constant(self.constants[name], form, kind))
            else:
                self.emitted.append(_cast(self._source(name), form, kind))
        return form

    def _source(self, name: str) -> str:
        """The form to cast from: a tensor that nothing reads as float32 exists only in the precision it was made in."""
        held = self.held.get(name)
        return name if held is None or name in self.full else self._named(name, held)

    def _named(self, name: str, kind: str) -> str:
        """A name for the tensor's form that no other tensor of the model has."""
        if (name, kind) not in self.forms:
            form = name + SUFFIX[kind]
            while form in self.taken:
                form += "_"
            self.taken.add(form)
            self.forms[name, kind] = form
        return self.forms[name, kind]

    def _output(self, name: str, kind: str) -> tuple[str, list[onnx.NodeProto]]:
        self.held[name] = kind
        form = self._named(name, kind)
        return form, [_cast(form, name, "fp32")] if name in self.full else []

    def _constant(self, tensor: onnx.TensorProto, form: str, kind: str) -> onnx.TensorProto:
        values = lower_values(numpy_helper.to_array(tensor), DTYPE[kind])
        return helper.make_tensor(form, ONNX_TYPE[kind], tensor.dims, values.tobytes(), raw=True)

    def _forget(self, graph: onnx.GraphProto, dropped: set[str]) -> None:
        """Drop declared types of tensors that are gone and constants that nothing reads any more."""
        kept = [value for value in graph.value_info if value.name not in dropped]
        del graph.value_info[:]
        graph.value_info.extend(kept)
        drop_unread(graph, self.constants.keys())


def loses_values(tensor: onnx.TensorProto, kind: str, *, zeros: bool = True) -> bool:
    """Whether a float32 constant has values that become 0 or infinite in this precision, such as an epsilon of 1e-12.

    A value that is 0 beside the largest of the tensor, as single weights are, does not count.

    Args:
        zeros: count values that become 0.
    """
    if tensor.data_type != FLOAT:
        return False
    values = numpy_helper.to_array(tensor)
    lowered = lower_values(values, DTYPE[kind]).astype(np.float32)
    size = np.abs(values)
    finite = np.isfinite(values)
    largest = float(size.max(where=finite, initial=0.0))
    zero = (lowered == 0) & (values != 0) & (size > NEGLIGIBLE * largest)
    return bool(np.any((zeros & zero) | (finite & ~np.isfinite(lowered))))


def _cast(source: str, target: str, kind: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=ONNX_TYPE.get(kind, FLOAT))
