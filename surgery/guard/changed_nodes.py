"""Finds the nodes of a fixed model that its original does not have, so that the other nodes need not run twice.

Both models name their tensors. A node of the fixed model computes what a node of the original computes if both have the
same operator, attributes and names of inputs and outputs, and if the inputs hold the same values. So it is enough to
run the original, to run the changed nodes of the fixed model on values of the original, and to compare the outputs of
the changed nodes: nothing else between the inputs and the outputs of the graph can differ. Where the fixed model holds
a constant and the original computes that tensor, the computed value is compared with the constant.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from surgery.graph.schemas import schema
from verify.model.external import external_tensors
from verify.model.walk import domain_of, opsets_of, reads, subgraphs, walk_nodes

LONG = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention", "LSTM", "GRU", "RNN"}


@dataclass(frozen=True)
class ConstantReshape:
    """A Reshape in both models whose shape is constant in the fixed one; tensor names are those of the original."""

    data: str
    reshaped: str
    shape: onnx.TensorProto
    allow_zero: bool


@dataclass
class ChangedNodes:
    """Which nodes of a fixed model have to run, and which tensors have to be compared.

    Attributes:
        nodes: nodes that the original does not have, in order; none of them holds a graph.
        kept: nodes of the fixed model that the original has too, by their first output in the original.
        inputs: tensors of the original that the changed nodes read, name in the fixed model -> name in the original.
        outputs: tensors of the changed nodes that others read, name in the fixed model -> name in the original.
        constants: constants of the fixed model, by the tensors of the original they replace.
        reshapes: constant shapes, which may be written in another way (-1, 0) and mean the same.
        equal: pairs of tensors of the original; the fixed model reads the first where the original reads the second.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    kept: dict[str, onnx.NodeProto] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    reshapes: list[ConstantReshape] = field(default_factory=list)
    equal: set[tuple[str, str]] = field(default_factory=set)


def find_changed_nodes(
    original: onnx.ModelProto,
    fixed: onnx.ModelProto,
    renamed_inputs: Mapping[str, str],
    renamed_outputs: Mapping[str, str],
    ends: Container[str] = (),
) -> ChangedNodes | None:
    """How the fixed model differs from the original, or None where the names do not allow a comparison by parts.

    Args:
        original, fixed: with all weights inside.
        renamed_inputs, renamed_outputs: new names of the graph's inputs and outputs by their old names.
        ends: tensors of changed nodes, by their names in the fixed model, that are compared if the original has them,
            and whose readers read them from the original.
    """
    if any(True for model in (original, fixed) for _ in external_tensors(model)):
        return None
    if [f.SerializeToString() for f in original.functions] != [f.SerializeToString() for f in fixed.functions]:
        return None
    names = {new: old for old, new in (*renamed_inputs.items(), *renamed_outputs.items())}
    return _Comparison(original, fixed, names).changed_nodes(ends)


class _Comparison:
    """Compares the nodes of two models; `names` holds the old names of renamed inputs and outputs."""

    def __init__(self, original: onnx.ModelProto, fixed: onnx.ModelProto, names: Mapping[str, str]) -> None:
        self.original, self.fixed, self.names = original, fixed, names
        self.old, self.new = constants(original.graph), constants(fixed.graph)
        self.makers = {name: node for node in original.graph.node for name in node.output if name}
        self.known = {value.name for value in original.graph.input} | self.makers.keys()
        self.result = ChangedNodes()
        self.versions = [opsets_of(model.opset_import) for model in (original, fixed)]

    def changed_nodes(self, ends: Container[str]) -> ChangedNodes | None:
        result = self.result
        changed: list[onnx.NodeProto] = []
        unchanged: list[onnx.NodeProto] = []
        for node in self.fixed.graph.node:
            if node.output[0] not in self.new:
                (unchanged if self.is_unchanged(node) else changed).append(node)
        made = {name for node in changed for name in node.output if name}
        outputs = [value.name for value in self.fixed.graph.output]
        read_later = {name for node in unchanged for name in reads(node)} | set(outputs)
        needed = {name for node in changed for name in reads(node)}
        cut = {name for name in made if name in ends and self.old_name(name) in self.known}
        result.outputs = {name: self.old_name(name) for name in sorted(made & read_later | cut)}
        result.inputs = {name: self.old_name(name) for name in sorted(needed - (made - cut) - self.new.keys())}
        result.constants |= {self.old_name(name): self.new[name] for name in outputs if self.is_new_constant(name)}
        result.kept = {self.old_name(node.output[0]): node for node in unchanged}
        constant_nodes = (node for node in self.fixed.graph.node if node.output[0] in self.new)
        result.nodes = [node for node in constant_nodes if node.output[0] in needed] + changed
        compared = {*result.outputs.values(), *result.inputs.values(), *result.constants}
        can_be_added = all(self.can_be_added(node) for node in changed)
        same_outputs = {value.name for value in self.original.graph.output} == {self.old_name(name) for name in outputs}
        return result if same_outputs and can_be_added and compared <= self.known else None

    def is_new_constant(self, output: str) -> bool:
        """Whether an output of the fixed model is a constant that the original does not hold."""
        old = self.old.get(self.old_name(output))
        return output in self.new and (old is None or not same_values(self.new[output], old))

    def can_be_added(self, node: onnx.NodeProto) -> bool:
        """Whether a node of the fixed model means the same in the original, where its inputs may have other names."""
        return not any(subgraphs(node)) and self.means_the_same(node.op_type, domain_of(node.domain))

    def old_name(self, name: str) -> str:
        """The name that a tensor of the fixed model has in the original, if the original has it at all."""
        return self.names.get(name, name)

    def is_unchanged(self, node: onnx.NodeProto) -> bool:
        """Whether the original has this node; comparisons that this depends on are added to the result."""
        other = self.makers.get(self.old_name(node.output[0]))
        if other is None or not self.is_alike(node, other):
            return False
        pairs = list(zip(_without_empty_end(node.input), _without_empty_end(other.input), strict=True))
        inner = [(name, name) for name in reads(node) if name not in node.input]
        conditions = [self.condition(node, place, *pair) for place, pair in enumerate([*pairs, *inner])]
        if any(condition is None for condition in conditions):
            return False
        for condition in conditions:
            self.add_condition(node, other, *(condition or ("", "", "")))
        return True

    def is_alike(self, node: onnx.NodeProto, other: onnx.NodeProto) -> bool:
        """Whether two nodes are the same, except for their inputs."""
        return (
            (node.op_type, domain_of(node.domain), len(_without_empty_end(node.input)))
            == (other.op_type, domain_of(other.domain), len(_without_empty_end(other.input)))
            and [self.old_name(name) for name in _without_empty_end(node.output)] == _without_empty_end(other.output)
            and _attributes(node) == _attributes(other)
            and all(self.means_the_same(one.op_type, domain_of(one.domain)) for one in walk_nodes([node]))
        )

    def means_the_same(self, op: str, domain: str) -> bool:
        """Whether an operator has the same definition in the opsets of both models."""
        before, after = (versions.get(domain, 0) for versions in self.versions)
        if before == after:
            return True
        first, second = schema(op, domain, before), schema(op, domain, after)
        return bool(first and second and first.since_version == second.since_version)

    def condition(self, node: onnx.NodeProto, place: int, name: str, other: str) -> tuple[str, str, str] | None:
        """What must hold for input `name` to replace `other` of the original: its kind and both names.

        ("", "", "") is no condition: both are the same. None: no comparison can show that they are equal.
        """
        if not name or not other:
            return ("", "", "") if name == other else None
        if name in self.new and other in self.old:
            return ("", "", "") if same_values(self.new[name], self.old[other]) else None
        if name in self.new:
            return ("shape" if node.op_type == "Reshape" and place == 1 else "constant", name, other)
        if other in self.old:
            return None
        if self.old_name(name) == other:
            return ("", "", "")
        worth_it = node.op_type in LONG and self.old_name(name) in self.known
        return ("equal", self.old_name(name), other) if worth_it else None

    def add_condition(self, node: onnx.NodeProto, other: onnx.NodeProto, kind: str, name: str, old: str) -> None:
        """Add to the result what has to be compared for `node` to be `other`."""
        if kind == "constant":
            self.result.constants[old] = self.new[name]
        elif kind == "equal":
            self.result.equal.add((name, old))
        elif kind == "shape":
            zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
            self.result.reshapes.append(ConstantReshape(other.input[0], other.output[0], self.new[name], zero))


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initializers, and the values of Constant nodes that hold a tensor, by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain and [a.name for a in node.attribute] == ["value"]:
            found[node.output[0]] = node.attribute[0].t
    return found


def same_values(one: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    """Whether two tensors have one type and shape and hold the same bits."""
    if one.data_type != other.data_type or list(one.dims) != list(other.dims):
        return False
    if one.HasField("raw_data") and other.HasField("raw_data"):
        return bool(one.raw_data == other.raw_data)
    if one.data_type == onnx.TensorProto.STRING:
        return list(one.string_data) == list(other.string_data)
    return bool(numpy_helper.to_array(one).tobytes() == numpy_helper.to_array(other).tobytes())


def _without_empty_end(names: Iterable[str]) -> list[str]:
    """Names without the empty ones at the end."""
    found = list(names)
    while found and not found[-1]:
        found.pop()
    return found


def _attributes(node: onnx.NodeProto) -> list[bytes]:
    return sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
