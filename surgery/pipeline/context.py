"""The questions a pass may ask about a graph: nodes by operator, opset, shapes, constants, the target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import onnx_graphsurgeon as gs

from surgery.graph.nodes import constant_of, static_shape_of
from surgery.graph.schemas import fewest
from surgery.graph.walk import every_graph, has_reference
from surgery.pipeline.options import Options
from surgery.targets import Target, load_target
from verify.model.walk import opsets_of


class Context:
    """One per run of the pipeline. What is cached of a graph is dropped by `invalidate` when a graph has changed."""

    def __init__(self, options: Options | None = None, opsets: dict[str, int] | None = None) -> None:
        self.options = options or Options()
        self.target: Target = load_target(self.options.target)
        self.opsets = opsets or {"": 17}
        self.root: gs.Graph | None = None
        self._by_op: dict[int, dict[str, list[gs.Node]]] = {}
        self._names: set[str] | None = None
        self.troubles: list[str] = []
        self.declined: dict[str, int] = {}  # fixes not made, each with the opset that allows it (0: none)
        self.renamed_inputs: dict[str, str] = {}
        self.renamed_outputs: dict[str, str] = {}
        self._memory: dict[str, Any] = {}
        self.inferred: dict[Any, list[Any]] = {}  # of single nodes, by all that they were inferred from

    def decline(self, code: str, place: str, reason: str, opset: int) -> None:
        """Record for the report that the pass `code` leaves a place unchanged."""
        self.declined[f"{code} leaves '{place}' as it is: {reason}"] = opset

    def fresh(self, base: str) -> str:
        """`base`, with a number where the model (`root`, its subgraphs and functions) has that name already."""
        if self._names is None:
            self._names = set() if self.root is None else set(_names(self.root))
        name, number = base, 0
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    @staticmethod
    def made(node: gs.Node, code: str, replaced: gs.Node) -> None:
        """Note that the pass `code` made `node` in the place of `replaced`; it goes into the node's metadata."""
        earlier = getattr(replaced, "provenance", {}).get("surgeon.replaces", replaced.name or replaced.op)
        node.provenance = {"surgeon.pass": code, "surgeon.replaces": earlier}

    @property
    def opset(self) -> int:
        """Version of the default ONNX domain that the model imports."""
        return self.opsets.get("", 1)

    def nodes(self, graph: gs.Graph, *ops: str) -> Iterable[gs.Node]:
        """Nodes of this graph (not of its subgraphs) with one of the ONNX-domain operators `ops`, in graph order.

        Nodes whose meaning is not known are left out: those with fewer inputs or outputs than the operator needs, and
        those with an attribute that the caller of a function sets.
        """
        index = self._by_op.get(id(graph))
        if index is None:
            index = defaultdict(list)
            least: dict[str, tuple[int, int]] = {}
            for node in graph.nodes:
                operator = node.op if not node.domain else f"{node.domain}::{node.op}"
                if operator not in least:
                    least[operator] = fewest(node.op, node.domain or "", self.opset)
                enough = len(node.inputs) >= least[operator][0] and len(node.outputs) >= least[operator][1]
                if enough and not has_reference(node):
                    index[operator].append(node)
            self._by_op[id(graph)] = index
        if len(ops) == 1:
            return index.get(ops[0], [])
        return [node for op in ops for node in index.get(op, [])]

    def invalidate(self) -> None:
        """Forget what was cached: a graph has changed."""
        self._by_op.clear()
        self._memory.clear()

    def memo(self, key: str, make: Callable[[], Any]) -> Any:
        """The result of `make`, cached under `key` until a graph changes."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def is_output(self, graph: gs.Graph, tensor: gs.Tensor) -> bool:
        """Whether this very tensor is an output of this graph; fast for graphs with many outputs."""
        return id(tensor) in self.memo(f"outputs {id(graph)}", lambda: {id(output) for output in graph.outputs})

    def opset_of(self, graph: gs.Graph) -> int:
        """Version of the default domain that holds in this graph; a function imports its own."""
        if isinstance(graph, gs.Function):
            return opsets_of(graph.import_domains or ()).get("", self.opset)
        return self.opset

    constant = staticmethod(constant_of)
    static_shape = staticmethod(static_shape_of)

    @staticmethod
    def number(tensor: gs.Tensor | None, rank: int | None) -> float | None:
        """The one number of a constant, else None.

        Args:
            rank: of the tensor it is combined with; a constant of more dims would give the result more dims too.
        """
        value = Context.constant(tensor)
        if value is None or value.size != 1 or value.ndim > (rank or 0):
            return None
        return float(value.reshape(-1)[0])

    @staticmethod
    def rank(tensor: gs.Tensor | None) -> int | None:
        """Number of dims, or None where the shape is unknown."""
        return None if tensor is None or tensor.shape is None else len(tensor.shape)


def _names(graph: gs.Graph) -> Iterator[str]:
    """Every tensor and node name of a graph, of the graphs inside its nodes and of its functions."""
    for inner, _ in every_graph(graph):
        yield from (tensor.name for tensor in inner.inputs)
        for node in inner.nodes:
            yield node.name
            yield from (tensor.name for tensor in (*node.inputs, *node.outputs))
