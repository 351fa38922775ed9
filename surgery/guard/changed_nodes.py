"""Where a fixed model parts from its original, so that what is the same in both need not run twice.

Both models name their tensors. A node of the fixed model whose operator, attributes and names of inputs and outputs an
original node has too computes what that one computes, if its inputs hold what they hold in the original. So it is
enough to run the original, to run the other nodes of the fixed model on values of the original, and to compare what
they hand on: from the inputs of the graph to its outputs, nothing else can differ. Where a constant stands for what the
original computes, the value it computed is compared with the constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from surgery.graph.schemas import schema
from surgery.pipeline.opset import operators
from verify.model.external import external_tensors
from verify.model.walk import domain_of, opsets_of, reads, subgraphs

LONG = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention", "LSTM", "GRU", "RNN"}


@dataclass(frozen=True)
class Reshaped:
    """A Reshape both models have, with a constant shape where the original computes it; names of the original."""

    before: str
    after: str
    shape: onnx.TensorProto
    allow_zero: bool


@dataclass
class Parting:
    """What of a fixed model has to run, and what has to be compared.

    Attributes:
        changed: nodes that the original does not have, in order; none of them holds a graph.
        same: how many nodes both have.
        needs: names in the original of what the changed nodes read, by the names they read it by.
        made: names in the original of what the changed nodes hand on, by their own.
        constants: constants of the fixed model, by the tensors of the original they stand for.
        reshaped: constant shapes; they may be written in another way (-1, 0) and mean the same.
        equal: pairs of tensors of the original of which one is read for the other.
    """

    changed: list[onnx.NodeProto] = field(default_factory=list)
    same: int = 0
    needs: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    reshaped: list[Reshaped] = field(default_factory=list)
    equal: set[tuple[str, str]] = field(default_factory=set)


def parting(
    original: onnx.ModelProto,
    fixed: onnx.ModelProto,
    renamed_inputs: Mapping[str, str],
    renamed_outputs: Mapping[str, str],
) -> Parting | None:
    """How the models differ, or None where names do not tell.

    Args:
        original, fixed: with all weights inside.
        renamed_inputs, renamed_outputs: new names of the graph's by old ones.
    """
    if any(True for model in (original, fixed) for _ in external_tensors(model)):
        return None
    if [f.SerializeToString() for f in original.functions] != [f.SerializeToString() for f in fixed.functions]:
        return None
    names = {new: old for old, new in (*renamed_inputs.items(), *renamed_outputs.items())}
    return _Comparison(original, fixed, names).parting()


class _Comparison:
    """One look at two models; `names` holds the old names of renamed inputs and outputs."""

    def __init__(self, original: onnx.ModelProto, fixed: onnx.ModelProto, names: Mapping[str, str]) -> None:
        self.original, self.fixed, self.names = original, fixed, names
        self.old, self.new = constants(original.graph), constants(fixed.graph)
        self.makers = {name: node for node in original.graph.node for name in node.output if name}
        self.known = {value.name for value in original.graph.input} | self.makers.keys()
        self.found = Parting()
        self.versions = [opsets_of(model.opset_import) for model in (original, fixed)]

    def parting(self) -> Parting | None:
        found = self.found
        changed: list[onnx.NodeProto] = []
        same: list[onnx.NodeProto] = []
        for node in self.fixed.graph.node:
            if node.output[0] not in self.new:
                (same if self.is_same(node) else changed).append(node)
        made = {name for node in changed for name in node.output if name}
        outputs = [value.name for value in self.fixed.graph.output]
        handed_on = {name for node in same for name in reads(node)} | set(outputs)
        needed = {name for node in changed for name in reads(node)}
        found.made = {name: self.named(name) for name in sorted(made & handed_on)}
        found.needs = {name: self.named(name) for name in sorted(needed - made - self.new.keys())}
        found.constants |= {self.named(name): self.new[name] for name in outputs if not self.is_settled(name)}
        found.same = len(same)
        found.changed = [
            node for node in self.fixed.graph.node if node.output[0] in self.new and node.output[0] in needed
        ]
        found.changed += changed
        asked = {*found.made.values(), *found.needs.values(), *found.constants}
        addable = all(self.can_be_added(node) for node in changed)
        whole = {value.name for value in self.original.graph.output} == {self.named(name) for name in outputs}
        return found if whole and addable and asked <= self.known else None

    def is_settled(self, output: str) -> bool:
        """Whether an output needs no comparison of its own: a node makes it, or both files hold the same constant."""
        old = self.old.get(self.named(output))
        return output not in self.new or (old is not None and same_values(self.new[output], old))

    def can_be_added(self, node: onnx.NodeProto) -> bool:
        """Whether a node of the fixed model means the same in the original, where its inputs may have other names."""
        return not any(subgraphs(node)) and self.means_the_same(node.op_type, domain_of(node.domain))

    def named(self, name: str) -> str:
        """The name a tensor of the fixed model has in the original, if it is there at all."""
        return self.names.get(name, name)

    def is_same(self, node: onnx.NodeProto) -> bool:
        """Whether the original has this node; what has to be compared for that is noted."""
        other = self.makers.get(self.named(node.output[0]))
        if other is None or not self.alike(node, other):
            return False
        pairs = list(zip(_filled(node.input), _filled(other.input), strict=True))
        inner = [(name, name) for name in reads(node) if name not in node.input]
        terms = [self.terms(node, place, *pair) for place, pair in enumerate([*pairs, *inner])]
        if any(term is None for term in terms):
            return False
        for term in terms:
            self.note(node, other, *(term or ("", "", "")))
        return True

    def alike(self, node: onnx.NodeProto, other: onnx.NodeProto) -> bool:
        """Whether two nodes are one but for what they read."""
        return (
            (node.op_type, domain_of(node.domain), len(_filled(node.input)))
            == (other.op_type, domain_of(other.domain), len(_filled(other.input)))
            and [self.named(name) for name in _filled(node.output)] == _filled(other.output)
            and _attributes(node) == _attributes(other)
            and all(self.means_the_same(*operator) for operator in operators([node]))
        )

    def means_the_same(self, op: str, domain: str) -> bool:
        """Whether an operator is the same one in the opsets of both models."""
        before, after = (versions.get(domain, 0) for versions in self.versions)
        if before == after:
            return True
        first, second = schema(op, domain, before), schema(op, domain, after)
        return bool(first and second and first.since_version == second.since_version)

    def terms(self, node: onnx.NodeProto, place: int, name: str, other: str) -> tuple[str, str, str] | None:
        """On which terms input `name` may stand where the original has `other`: kind and both names; None for none."""
        if not name or not other:
            return ("", "", "") if name == other else None
        if name in self.new and other in self.old:
            alike = same_values(self.new[name], self.old[other])
            return ("", "", "") if alike else None
        if name in self.new:
            return ("shape" if node.op_type == "Reshape" and place == 1 else "constant", name, other)
        if other in self.old:
            return None
        if self.named(name) == other:
            return ("", "", "")
        return ("equal", self.named(name), other) if node.op_type in LONG and self.named(name) in self.known else None

    def note(self, node: onnx.NodeProto, other: onnx.NodeProto, kind: str, name: str, old: str) -> None:
        """Put down what has to be compared for `node` to be `other`."""
        if kind == "constant":
            self.found.constants[old] = self.new[name]
        elif kind == "equal":
            self.found.equal.add((name, old))
        elif kind == "shape":
            zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
            self.found.reshaped.append(Reshaped(other.input[0], other.output[0], self.new[name], zero))


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initializers, and the values of Constant nodes that hold a tensor, by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain and [a.name for a in node.attribute] == ["value"]:
            found[node.output[0]] = node.attribute[0].t
    return found


def same_values(one: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    """Whether two tensors are of one type and shape and hold the same bits."""
    if one.data_type != other.data_type or list(one.dims) != list(other.dims):
        return False
    if one.HasField("raw_data") and other.HasField("raw_data"):
        return bool(one.raw_data == other.raw_data)
    if one.data_type == onnx.TensorProto.STRING:
        return list(one.string_data) == list(other.string_data)
    return bool(numpy_helper.to_array(one).tobytes() == numpy_helper.to_array(other).tobytes())


def _filled(names: Iterable[str]) -> list[str]:
    """Names without the empty ones at the end."""
    found = list(names)
    while found and not found[-1]:
        found.pop()
    return found


def _attributes(node: onnx.NodeProto) -> list[bytes]:
    return sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
