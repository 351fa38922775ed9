"""The edits that passes make on graphs, which compare nodes and tensors by identity.

onnx-graphsurgeon compares tensors by name and keeps both ends of every edge in lists; these functions change both ends
together. A node that `disconnect` takes out stays in `graph.nodes`, without inputs or outputs, until `sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_graphsurgeon as gs

from surgery.graph.nodes import Constant, Node, Variable
from surgery.graph.walk import inner_graphs, tensors_read
from verify.errors import SurgeonError
from verify.model.walk import Cycle, dependency_order


def is_graph_output(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Whether this very tensor is an output of this graph."""
    return any(tensor is output for output in graph.outputs)


def replace_uses(old: gs.Tensor, new: gs.Tensor) -> None:
    """Every node that reads `old`, in any graph, reads `new` instead. Graph outputs are not touched."""
    if old is new:
        return
    for consumer in old.outputs:
        for index, tensor in enumerate(consumer.inputs):
            if tensor is old:
                list.__setitem__(consumer.inputs, index, new)
                list.append(new.outputs, consumer)
    list.clear(old.outputs)


def disconnect(graph: gs.Graph, node: gs.Node) -> None:
    """Detach `node`, and the nodes of the graphs inside it, from their tensors; the next `sweep` removes it.

    To keep a graph that is inside it, remove that from `node.attrs` first.
    """
    for _, graph_inside in inner_graphs(node):
        for inner in graph_inside.nodes:
            disconnect(graph_inside, inner)
    for tensor in node.inputs:
        _unlink(tensor.outputs, node)
    for tensor in node.outputs:
        _unlink(tensor.inputs, node)
    list.clear(node.inputs)
    list.clear(node.outputs)
    node.dead = True


def replace_output(node: gs.Node, index: int, new: gs.Tensor) -> None:
    """Let `node` make `new` as its output number `index`."""
    _unlink(node.outputs[index].inputs, node)
    list.__setitem__(node.outputs, index, new)
    list.append(new.inputs, node)


def replace_input(node: gs.Node, index: int, new: gs.Tensor) -> None:
    """Let `node` read `new` as its input number `index`."""
    _unlink(node.inputs[index].outputs, node)
    list.__setitem__(node.inputs, index, new)
    list.append(new.outputs, node)


def made_here(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """Whether a node of this graph makes `tensor`; a node of a graph around or inside it does not count."""
    return bool(tensor.inputs) and any(tensor.inputs[0] is node for node in graph.nodes)


def can_bypass(graph: gs.Graph, node: gs.Node, position: int = 0) -> bool:
    """Whether readers of the first output of `node` can read its input number `position` instead.

    An output of the graph keeps its name, so the node that makes the input must be able to make it under that name.
    """
    source, target = node.inputs[position], node.outputs[0]
    if source.is_empty():
        return False
    if not is_graph_output(graph, target):
        return True
    return isinstance(source, gs.Variable) and not is_graph_output(graph, source) and made_here(graph, source)


def bypass(graph: gs.Graph, node: gs.Node, position: int = 0) -> None:
    """Remove `node` and let readers of its first output read its input number `position`, where `can_bypass` holds."""
    if getattr(node, "dead", False) or not can_bypass(graph, node, position):
        return
    source, target = node.inputs[position], node.outputs[0]
    disconnect(graph, node)
    if not is_graph_output(graph, target):
        replace_uses(target, source)
        return
    maker = source.inputs[0]
    index = next(place for place, tensor in enumerate(maker.outputs) if tensor is source)
    replace_output(maker, index, target)
    replace_uses(source, target)


def replace_by_constant(graph: gs.Graph, node: gs.Node, index: int, constant: gs.Constant) -> None:
    """Replace output number `index` of `node` by a constant; a Constant node makes an output of the graph."""
    target = node.outputs[index]
    if not is_graph_output(graph, target):
        replace_uses(target, constant)
        return
    # The old output gets a name because onnxruntime crashes on an output of Split without one.
    replace_output(node, index, Variable(f"{target.name}/unread", target.dtype, target.shape))
    maker = Node("Constant", f"Constant/{target.name}", {"value": constant}, [], [target])
    maker.provenance = {"surgeon.replaces": node.name or node.op}
    graph.nodes.append(maker)
    if not any(out.outputs or is_graph_output(graph, out) for out in node.outputs):
        disconnect(graph, node)


def copy_nodes(nodes: Iterable[gs.Node], tensors: dict[int, gs.Tensor]) -> list[gs.Node]:
    """Copies of nodes and of the graphs inside them.

    Args:
        tensors: copies by id of the original; tensors that the nodes make are added, others stay shared.
    """
    copies = []
    for node in nodes:
        for tensor in node.outputs:
            tensors[id(tensor)] = _copy_tensor(tensor)
        attrs = {name: _copy_graph(v, tensors) if isinstance(v, gs.Graph) else v for name, v in node.attrs.items()}
        inputs = [tensors.get(id(tensor), tensor) for tensor in node.inputs]
        copy = Node(node.op, node.name, attrs, inputs, [tensors[id(t)] for t in node.outputs], node.domain)
        copy.provenance = {"surgeon.replaces": node.name or node.op}
        copies.append(copy)
    return copies


def _copy_tensor(tensor: gs.Tensor) -> Variable:
    copy = Variable(tensor.name, tensor.dtype, tensor.shape, getattr(tensor, "type", "tensor_type"))
    copy.origin, copy.snapshot = getattr(tensor, "origin", None), getattr(tensor, "snapshot", (None, None))
    return copy


def _copy_graph(graph: gs.Graph, tensors: dict[int, gs.Tensor]) -> gs.Graph:
    copy = gs.Graph(name=graph.name, doc_string=graph.doc_string)
    inner = dict(tensors)
    for tensor in graph.inputs:
        inner[id(tensor)] = _copy_tensor(tensor)
    copy.inputs = [inner[id(tensor)] for tensor in graph.inputs]
    copy.nodes = copy_nodes(graph.nodes, inner)
    copy.outputs = [inner.get(id(tensor), tensor) for tensor in graph.outputs]
    copy.output_infos = dict(vars(graph).get("output_infos", {}))
    return copy


def _unlink(edges: list[gs.Node], node: gs.Node) -> None:
    """Take one entry of `node` out of a list of nodes."""
    if isinstance(node, Node):
        try:
            list.remove(edges, node)  # compares by identity, in C
        except ValueError:
            return
        return
    for index, other in enumerate(edges):
        if other is node:
            list.__delitem__(edges, index)
            return


def sweep(graph: gs.Graph) -> None:
    """Remove disconnected nodes, make new ones compare by identity, and put each after the nodes it reads from.

    Raises:
        SurgeonError: the nodes read from each other in a circle.
    """
    graph.nodes = [node for node in graph.nodes if not getattr(node, "dead", False)]
    for node in graph.nodes:
        if type(node) is gs.Node:
            node.__class__ = Node
        _identify(node.inputs)
        _identify(node.outputs)
    _identify(graph.inputs)
    _identify(graph.outputs)
    if misplaced(graph):
        graph.nodes = sorted_nodes(graph)


def label(graph: gs.Graph, provenance: dict[str, str], fresh: Callable[[str], str]) -> None:
    """Give each new node a name, and `provenance` as metadata unless the pass that made it has noted its own.

    Args:
        provenance: "surgeon.pass", and "surgeon.replaces" where one node was replaced.
        fresh: makes a name that the model does not have from the one it is given.
    """
    for node in graph.nodes:
        noted = getattr(node, "provenance", {})
        if getattr(node, "origin", None) is not None or "surgeon.pass" in noted:
            continue
        node.provenance = provenance | noted
        made = next((tensor.name for tensor in node.outputs if tensor.name), provenance["surgeon.pass"])
        node.name = node.name or fresh(f"{node.op}/{made}")


def _identify(tensors: Iterable[gs.Tensor]) -> None:
    for tensor in tensors:
        if type(tensor) is gs.Variable:
            tensor.__class__ = Variable
        elif type(tensor) is gs.Constant:
            tensor.__class__ = Constant


def misplaced(graph: gs.Graph) -> gs.Node | None:
    """The first node that reads a tensor which a later node of this graph makes."""
    to_come = {id(node) for node in graph.nodes}
    for node in graph.nodes:
        for tensor in tensors_read(node):
            makers = tensor.inputs
            if makers and id(makers[0]) in to_come:
                return node
        to_come.discard(id(node))
    return None


def sorted_nodes(graph: gs.Graph) -> list[gs.Node]:
    """The nodes in an order close to the present one in which each follows those it reads from.

    Raises:
        SurgeonError: some read from each other in a circle.
    """
    places = {id(node): place for place, node in enumerate(graph.nodes)}
    makers = ([id(tensor.inputs[0]) for tensor in tensors_read(node) if tensor.inputs] for node in graph.nodes)
    try:
        order = dependency_order([[places[maker] for maker in needed if maker in places] for needed in makers])
    except Cycle as cycle:
        first, second = (graph.nodes[place].name for place in (cycle.first, cycle.second))
        raise SurgeonError(f"nodes '{first}' and '{second}' read from each other in a circle") from None
    return [graph.nodes[place] for place in order]
