"""The node of a model that an error in a log is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from surgery.diagnose.logs.errors import LogError
from surgery.diagnose.model_view import ModelView
from verify.model.walk import node_name, subgraphs

# What TensorRT puts after the name of a node where it makes several layers of it.
OF_A_NODE = re.compile(r"(?P<node>.+?)(?:slice| ?copy|_clone_\d+|_output|_\d+| \[\w+\])$")


@dataclass(frozen=True)
class NodeAt:
    """A node, the way to it ("" for the main graph, else "If_7/else_branch") and its index in the main graph or -1."""

    node: onnx.NodeProto
    path: str = ""
    index: int = -1


class Places:
    """Finds nodes of a model by the names that logs have for them."""

    def __init__(self, view: ModelView) -> None:
        self.by_output: dict[str, NodeAt] = {}
        self.by_name: dict[str, list[NodeAt]] = {}
        self.main = view.nodes
        for at in _every(view.model.graph, ""):
            self.by_name.setdefault(node_name(at.node), []).append(at)
            for name in at.node.output:
                self.by_output.setdefault(name, at)

    def of_parser(self, error: LogError, by_number: bool) -> NodeAt | None:
        """The node that the parser refused: by its outputs, its name, its number, or as the only one of its operator.

        Args:
            by_number: the log counts the nodes of this very file.
        """
        outputs = [name for name in (error.output, *error.outputs) if name]
        found = next((self.by_output[name] for name in outputs if name in self.by_output), None)
        if found is None:
            found = next(iter(self._named(error.name, error.op)), None)
        if found is None and by_number and not error.name and not outputs and 0 <= error.number < len(self.main):
            found = NodeAt(self.main[error.number], "", error.number)
        if found is None and not (error.name or outputs) and error.number < 0:
            of_op = [at for group in self.by_name.values() for at in group if at.node.op_type == error.op]
            found = of_op[0] if len(of_op) == 1 else None
        if found is None:
            return None
        return found if not error.op or found.node.op_type == error.op or _holds(found.node, error.op) else None

    def has(self, path: str, name: str) -> bool:
        """Whether the model has a node of this name there."""
        return any(at.path == path for at in self.by_name.get(name, ()))

    def of_layers(self, layers: tuple[str, ...]) -> list[NodeAt]:
        """The nodes that are named in a builder's error, in its order."""
        return [at for name in layers for at in (self._named(name, "") or self._named(self._node_of(name), ""))[:1]]

    def _node_of(self, layer: str) -> str:
        """Name of the node that TensorRT made a layer for and named it after, as in "/Concat_17slice"; "" if none."""
        made = OF_A_NODE.match(layer)
        return made["node"] if made else ""

    def _named(self, name: str, op: str) -> list[NodeAt]:
        found = self.by_name.get(name, []) if name else []
        return [at for at in found if not op or at.node.op_type == op] or found


def _holds(node: onnx.NodeProto, op: str) -> bool:
    """Whether a graph inside the node has an operator `op`: some versions name the node around the refused one."""
    return any(inner.node.op_type == op for _, graph in subgraphs(node) for inner in _every(graph, ""))


def _every(graph: onnx.GraphProto, path: str) -> Iterator[NodeAt]:
    for index, node in enumerate(graph.node):
        yield NodeAt(node, path, index if not path else -1)
        for attribute, inner in subgraphs(node):
            yield from _every(inner, f"{path}{'/' if path else ''}{node_name(node)}/{attribute}")
