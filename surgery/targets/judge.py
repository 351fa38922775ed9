"""What the table of a target says of each node of a model: accepted, refused or unknown, with the row that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from surgery.graph.schemas import schema
from surgery.targets.conditions import UNKNOWN, evaluate
from surgery.targets.facts import NodeFacts
from surgery.targets.graph_facts import GraphFacts, types_of
from surgery.targets.table import LOOKED_UP, PROBED, Row, State, Table, Version
from surgery.targets.wrong_results import WrongResult, wrong_results
from verify.model.walk import node_name, op_of, subgraphs

ONNX_DOMAINS = ("", "ai.onnx")
EVERY = ("*",)


@dataclass(frozen=True)
class Ruling:
    """What the table says of one node; `row` is None where no row is about it."""

    state: State
    says: str = ""
    row: Row | None = None


@dataclass(frozen=True)
class Judge:
    """One version of one table.

    missing  what the table says of an operator that no row is about
    related  TensorRT-RTX, which shares parser code with TensorRT: what it refuses is unknown where no document says
    """

    table: Table
    version: Version
    missing: Ruling
    related: Judge | None = None

    def of_operator(self, op: str, domain: str = "") -> Ruling:
        """What the table says of an operator as such, whatever its attributes and types."""
        plugin = self.table.plugins.get(op)
        if plugin is not None and plugin.state(self.version) != "refused":
            return Ruling(plugin.state(self.version), row=plugin)
        if domain not in ONNX_DOMAINS:
            return Ruling("refused", "no plugin of this name is shipped with this version", plugin or LOOKED_UP)
        rows = [row for row in self.table.rows.get(op, ()) if not row.when]
        return _worst([self._ruling(row) for row in rows]) if rows else self.missing

    def of_node(self, node: onnx.NodeProto, facts: GraphFacts) -> Ruling:
        """What the table says of a node, by its operator, its dtypes and every condition that it meets."""
        of_operator = self.of_operator(node.op_type, node.domain)
        # A plugin takes the node whatever the rows of an ONNX operator of the same name say.
        if of_operator.row is not None and node.op_type in self.table.plugins and node.domain not in ONNX_DOMAINS:
            return of_operator
        worst = _worst([of_operator, *self._of_conditions(node, facts)])
        if worst.state == "accepted" and self.related is not None:
            other = _worst([worst, *self.related._of_conditions(node, facts)])
            if other.state == "refused" and other.row is not None and not other.row.rtx_only:
                return Ruling("unknown", f"not documented; TensorRT-RTX refuses it: {other.says}", other.row)
        return worst

    def wrong_results(self, node: onnx.NodeProto, facts: GraphFacts) -> tuple[WrongResult, ...]:
        """Faults of this version that make it compute something else for the node. Only full TensorRT's are known."""
        if self.related is None or node.domain not in ONNX_DOMAINS:
            return ()
        ask = NodeFacts(facts, node).ask
        rows = (row for row in wrong_results().values() if node.op_type in row.ops and row.at(self.version))
        return tuple(row for row in rows if evaluate(row.when, ask))

    def _of_conditions(self, node: onnx.NodeProto, facts: GraphFacts) -> Iterator[Ruling]:
        """What dtypes and conditions say of the node beside what holds of its operator."""
        yield from self._of_dtypes(node, facts)
        ask = NodeFacts(facts, node).ask
        for row in self.table.of(node.op_type):
            if not row.when or row.state(self.version) == "accepted":
                continue
            holds = evaluate(row.when, ask)
            if holds:
                yield self._ruling(row)
            elif holds is None and row.ops != EVERY:
                yield Ruling("unknown", f"the file does not tell whether this holds: {row.says}", row)

    def _of_dtypes(self, node: onnx.NodeProto, facts: GraphFacts) -> Iterator[Ruling]:
        ask = NodeFacts(facts, node).ask
        names = [(ask("dtype", (index,))) for index in range(len(node.input))]
        names += [(ask("out_dtype", (index,))) for index in range(len(node.output))]
        bad = next((name for name in names if name in self.table.never), "")
        if bad:
            yield Ruling("refused", f"there is no dtype {bad}", self.table.dtypes)
        for dtype, taken in _typed(node, facts, self.table.types.get(op_of(node), {})):
            if dtype is UNKNOWN:
                yield Ruling("unknown", f"the file does not tell a dtype of this {node.op_type}", self.table.probed)
            elif dtype in PROBED and dtype not in taken:
                yield Ruling("refused", f"{node.op_type} does not take {dtype} here", self.table.probed)

    def _ruling(self, row: Row) -> Ruling:
        return Ruling(row.state(self.version), row.says, row)

    def of_opset(self, opset: int) -> Ruling:
        """What is documented of ONNX's opset."""
        ranges = [(row, low, high) for row, low, high in self.table.opsets if row.state(self.version) == "accepted"]
        earlier = [entry for entry in self.table.opsets if entry[0].since and entry[0].since <= self.version]
        if not earlier:
            return Ruling("accepted")
        row, low, high = (ranges or earlier)[-1]
        if low <= opset <= high:
            return Ruling("accepted", row=row)
        return Ruling("unknown", f"opset {opset} is outside the documented range, {low} to {high}", row)


def _typed(
    node: onnx.NodeProto, facts: GraphFacts, types: Mapping[str, frozenset[str]]
) -> Iterator[tuple[Any, frozenset[str]]]:
    """dtype of each input and output with the dtypes that were taken there when the operator was probed."""
    found = schema(node.op_type, node.domain, facts.opset) if types else None
    if found is None:
        return
    ask = NodeFacts(facts, node).ask
    for fact, names, formals in (("dtype", node.input, found.inputs), ("out_dtype", node.output, found.outputs)):
        for index, name in enumerate(names):
            parameter = formals[min(index, len(formals) - 1)].type_str
            if name and parameter in types:
                yield ask(fact, (index,)), types[parameter]


def _worst(rulings: list[Ruling]) -> Ruling:
    """The first refusal, else the first that is unknown, else the first."""
    for state in ("refused", "unknown"):
        for ruling in rulings:
            if ruling.state == state:
                return ruling
    return rulings[0]


@dataclass(frozen=True)
class Place:
    """A node with what the table says of it, and the way to it: "" for the main graph, else "If_7/else_branch".

    wrong  faults by which it would compute something else, where it is accepted
    """

    node: onnx.NodeProto
    ruling: Ruling
    path: str = ""
    index: int = -1
    wrong: tuple[WrongResult, ...] = ()


def places(model: onnx.ModelProto, judge: Judge) -> Iterator[Place]:
    """Every node of the model with what the table says of it: main graph, subgraphs and local functions.

    Args:
        model: with inferred types written in, or what does not know them is unknown.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 1))
    functions = {(function.domain, function.name) for function in model.functions}
    yield from _in_graph(model.graph, judge, opset, functions, {}, {}, "")
    for function in model.functions:
        own = {entry.domain: entry.version for entry in function.opset_import}
        facts = GraphFacts(function, {}, {}, own.get("", own.get("ai.onnx", opset)))
        for node in function.node:
            ruling = judge.of_node(node, facts)
            # Without the types of a call only what is refused whatever they are can be told.
            if (node.domain, node.op_type) not in functions and ruling.state == "refused":
                yield Place(node, ruling, f"{function.domain}::{function.name}")


def _in_graph(
    graph: onnx.GraphProto,
    judge: Judge,
    opset: int,
    functions: set[tuple[str, str]],
    types: Mapping[str, onnx.TypeProto],
    constants: Mapping[str, onnx.TensorProto],
    path: str,
) -> Iterator[Place]:
    types = {**types, **types_of(graph)}
    constants = {**constants, **{tensor.name: tensor for tensor in graph.initializer}}
    facts = GraphFacts(graph, types, constants, opset)
    for index, node in enumerate(graph.node):
        local = (node.domain, node.op_type) in functions and node.op_type not in judge.table.plugins
        ruling = Ruling("accepted") if local else judge.of_node(node, facts)
        wrong = judge.wrong_results(node, facts) if ruling.state == "accepted" and not local else ()
        yield Place(node, ruling, path, index, wrong)
        for attribute, inner in subgraphs(node):
            here = f"{path}{'/' if path else ''}{node_name(node)}/{attribute}"
            yield from _in_graph(inner, judge, opset, functions, types, facts.weights, here)
