"""Finds the graph that each tensor belongs to, and a name for it that no other tensor in scope has."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from surgery.graph.walk import inner_graphs


class Names:
    """Names of all tensors of one main graph or function body.

    Inputs and outputs of the main graph keep their names. Of two other tensors with the same name in one scope (a graph
    and the graphs around it) the second gets a new name.
    """

    def __init__(self, root: gs.Graph) -> None:
        self.root = root
        self._name: dict[int, str] = {}
        self._tensors: dict[int, list[gs.Tensor]] = {}
        self._constants: dict[int, list[gs.Constant]] = {}
        self._taken: dict[int, set[str]] = {}
        self.parents = parents(root)
        order = [graph for graph, _ in self.parents.values()]
        homes = self._homes(order)
        for graph in order:
            self._constants[id(graph)] = [c for c in vars(graph).get("stored", ()) if homes.get(id(c)) is graph]
        self._find_owners(order, homes)
        for graph in order:
            self._name_all(graph)

    def of(self, tensor: gs.Tensor) -> str:
        """The name a tensor is written under."""
        name: str = self._name.get(id(tensor), tensor.name)
        return name

    def tensors_of(self, graph: gs.Graph) -> list[gs.Tensor]:
        """Tensors that belong to this graph, in order of first appearance."""
        return self._tensors.get(id(graph), [])

    def constants_of(self, graph: gs.Graph) -> list[gs.Constant]:
        """Initializers of this graph."""
        return self._constants.get(id(graph), [])

    def _homes(self, order: list[gs.Graph]) -> dict[int, gs.Graph]:
        return {id(constant): graph for graph in order for constant in vars(graph).get("stored", ())}

    def _find_owners(self, order: list[gs.Graph], homes: dict[int, gs.Graph]) -> None:
        """Find the graph of every tensor: the one that makes or stores it, or the innermost around all its readers."""
        owner: dict[int, gs.Graph] = {}
        for graph in order:
            for tensor in (*graph.inputs, *(out for node in graph.nodes for out in node.outputs)):
                if not tensor.is_empty() and id(tensor) not in owner:
                    self._own(tensor, graph, owner)
        readers: dict[int, tuple[gs.Tensor, gs.Graph]] = {}
        for graph in order:
            for tensor in (*(name for node in graph.nodes for name in node.inputs), *graph.outputs):
                key = id(tensor)
                if tensor.is_empty() or key in owner:
                    continue
                if key in homes and self._holds(homes[key], graph):
                    self._own(tensor, homes[key], owner)
                    continue
                seen = readers.get(key)
                readers[key] = (tensor, graph if seen is None else self._common(seen[1], graph))
        for tensor, graph in readers.values():
            self._own(tensor, graph, owner)
            if isinstance(tensor, gs.Constant):
                home = self._constants.get(id(homes.get(id(tensor))), [])  # inner, out of its readers' sight
                home[:] = [constant for constant in home if constant is not tensor]
                self._constants[id(graph)].append(tensor)

    def _own(self, tensor: gs.Tensor, graph: gs.Graph, owner: dict[int, gs.Graph]) -> None:
        owner[id(tensor)] = graph
        self._tensors.setdefault(id(graph), []).append(tensor)

    def _chain(self, graph: gs.Graph) -> list[gs.Graph]:
        chain = [graph]
        while (parent := self.parents[id(chain[-1])][1]) is not None:
            chain.append(parent)
        return chain

    def _holds(self, outer: gs.Graph, inner: gs.Graph) -> bool:
        return any(graph is outer for graph in self._chain(inner))

    def _common(self, first: gs.Graph, second: gs.Graph) -> gs.Graph:
        return next(graph for graph in self._chain(first) if self._holds(graph, second))

    def _name_all(self, graph: gs.Graph) -> None:
        """Name the tensors of one graph, after those of the graphs around it."""
        taken: set[str] = set()
        self._taken[id(graph)] = taken
        around = [self._taken[id(outer)] for outer in self._chain(graph)]
        owned = self.tensors_of(graph)
        first = [t for t in (*graph.inputs, *graph.outputs) if not t.is_empty()]
        unmade = [t for t in owned if not t.inputs and not isinstance(t, gs.Constant)]
        counters: dict[str, int] = {}
        for tensor in (*first, *unmade, *owned, *self.constants_of(graph)):
            if id(tensor) in self._name:
                continue
            name = tensor.name or "tensor"
            while any(name in names for names in around):
                counters[tensor.name] = counters.get(tensor.name, 0) + 1
                name = f"{tensor.name or 'tensor'}_{counters[tensor.name]}"
            taken.add(name)
            self._name[id(tensor)] = name


def parents(root: gs.Graph) -> dict[int, tuple[gs.Graph, gs.Graph | None]]:
    """`root` and every graph inside it by id, each with the graph around it; outer graphs come first."""
    found: dict[int, tuple[gs.Graph, gs.Graph | None]] = {id(root): (root, None)}
    todo = [root]
    while todo:
        graph = todo.pop()
        for node in graph.nodes:
            for _, inner in inner_graphs(node):
                found[id(inner)] = (inner, graph)
                todo.append(inner)
    return found
