"""The few ways a pass changes a graph, written once: onnx-graphsurgeon compares tensors by name, not identity."""

from __future__ import annotations

import onnx_graphsurgeon as gs


def is_graph_output(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Whether this very tensor is an output of this graph."""
    return any(tensor is output for output in graph.outputs)


def replace_uses(old: gs.Tensor, new: gs.Tensor) -> None:
    """Every node that reads `old`, in any graph, reads `new` instead. Graph outputs are not touched."""
    for consumer in list(old.outputs):
        for index, tensor in enumerate(consumer.inputs):
            if tensor is old:
                consumer.inputs[index] = new


def disconnect(graph: gs.Graph, node: gs.Node) -> None:
    """Take `node` out of `graph` and cut its ties to tensors."""
    node.inputs.clear()
    node.outputs.clear()
    for index, other in enumerate(graph.nodes):
        if other is node:
            del graph.nodes[index]
            return
