"""Graphs and function bodies with the names that are visible inside each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verify.model.walk import initializer_names, opsets_of, subgraphs

if TYPE_CHECKING:
    import onnx

BEFORE = -1  # place of inputs and initializers, which come before all nodes


@dataclass(frozen=True)
class Scope:
    """The main graph, a graph inside a node, or the body of a function.

    path       "" for the main graph, else e.g. "If_7/else_branch"
    graph      a GraphProto, or a FunctionProto for the body of a function
    model      the model it belongs to
    opsets     version of each imported domain, "" for ONNX's own
    parent     the graph around it, and the place in it of the node that holds this one
    made       tensor name -> place of the first node that makes the tensor, BEFORE for inputs and initializers
    """

    path: str
    graph: onnx.GraphProto | onnx.FunctionProto
    model: onnx.ModelProto
    opsets: dict[str, int]
    made: dict[str, int]
    parent: tuple[Scope, int] | None = None

    @property
    def is_function(self) -> bool:
        return str(self.graph.DESCRIPTOR.name) == "FunctionProto"

    @property
    def is_main(self) -> bool:
        return self.parent is None and not self.is_function

    def visible(self, name: str, place: int) -> bool:
        """Whether the node at this place can read the tensor: it is made before, here or in a graph around."""
        scope, at = self, place
        while True:
            if scope.made.get(name, at) < at:
                return True
            if scope.parent is None:
                return False
            scope, at = scope.parent

    def around(self, name: str) -> bool:
        """Whether a graph around this one makes the tensor before the node that holds this graph."""
        return self.parent is not None and self.parent[0].visible(name, self.parent[1])


def scopes(model: onnx.ModelProto) -> Iterator[Scope]:
    """The main graph, every graph inside nodes, and every function body; each before those inside it."""
    opsets = opsets_of(model.opset_import)
    yield from _inside(Scope("", model.graph, model, opsets, _made(model.graph)))
    for function in model.functions:
        path = f"function {function.domain}::{function.name}"
        yield from _inside(Scope(path, function, model, opsets_of(function.opset_import), _made(function)))


def _inside(scope: Scope) -> Iterator[Scope]:
    yield scope
    for place, node in enumerate(scope.graph.node):
        for attribute, graph in subgraphs(node):
            steps = [scope.path, str(node.name or f"{node.op_type}_{place}"), str(attribute)]
            path = "/".join(filter(None, steps))
            yield from _inside(Scope(path, graph, scope.model, scope.opsets, _made(graph), (scope, place)))


def _made(graph: onnx.GraphProto | onnx.FunctionProto) -> dict[str, int]:
    if graph.DESCRIPTOR.name == "FunctionProto":
        names = list(graph.input)
    else:
        names = [value.name for value in graph.input] + sorted(initializer_names(graph), key=repr)
    made = dict.fromkeys(names, BEFORE)
    for place, node in enumerate(graph.node):
        for name in node.output:
            if name:
                made.setdefault(name, place)
    return made
