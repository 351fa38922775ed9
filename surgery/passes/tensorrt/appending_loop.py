"""A Loop that appends a tensor to a sequence in each iteration; the sequence is then stacked.

What it does: makes the tensors a scan output of the loop, and moves the dim of the iterations to the axis along which
the tensors were stacked.
Why: TensorRT has tensors only, no sequences.
Before → After: `s = Loop(n, on, SequenceEmpty()) <s' = SequenceInsert(s, a)>; y = ConcatFromSequence<new_axis = 1>(s)`
→ `y = Loop(n, on) <a>`
Leaves alone: sequences that have elements before the loop or are read inside it, elements inserted at a given position,
and sequences that are concatenated along an existing dim or read by other operators.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import is_graph_output
from surgery.graph.nodes import Node, Variable
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        if not isinstance(body, gs.Graph) or len(body.inputs) != len(node.inputs):
            continue
        for place in range(len(node.inputs) - 2):
            insert = _appended(node, body, place)
            readers = _stacked(graph, node.outputs[place])
            if insert is not None and readers:
                message = "the loop appends to a sequence, which is stacked after the loop"
                yield finding(message, node, partial(rewrite, graph, node, body, place, context), *readers)
                break


def _appended(node: gs.Node, body: gs.Graph, place: int) -> gs.Node | None:
    """The SequenceInsert, if it is the only use of this loop state and the sequence starts empty."""
    state, made = body.inputs[2 + place], body.outputs[1 + place]
    insert = producer(made, "SequenceInsert")
    if producer(node.inputs[2 + place], "SequenceEmpty") is None or insert is None:
        return None
    alone = insert.inputs[0] is state and len(state.outputs) == 1 and not made.outputs
    at_the_end = len(insert.inputs) < 3 or insert.inputs[2].is_empty()
    element = insert.inputs[1]
    inside = bool(element.inputs) and any(element.inputs[0] is inner for inner in body.nodes)
    return insert if alone and at_the_end and inside and element.dtype is not None else None


def _stacked(graph: gs.Graph, sequence: gs.Tensor) -> list[gs.Node]:
    """The readers of the sequence, where all of them stack it."""
    readers = list(sequence.outputs)
    stack = all(reader.op == "ConcatFromSequence" and reader.attrs.get("new_axis") for reader in readers)
    own = all(any(reader is node for node in graph.nodes) for reader in readers)
    return readers if stack and own and not is_graph_output(graph, sequence) else []


def rewrite(graph: gs.Graph, node: gs.Node, body: gs.Graph, place: int, context: Context) -> None:
    """Move the state to the scan outputs."""
    insert, sequence = body.outputs[1 + place].inputs[0], node.outputs[place]
    element = insert.inputs[1]
    dims = None if element.shape is None else [None, *element.shape]
    collected = Variable(context.fresh(f"{sequence.name}/{PASS.code}"), element.dtype, dims)
    for reader in list(sequence.outputs):
        build = Build(graph, reader, context, PASS.code)
        rank, axis = 1 + len(element.shape or ()), int(reader.attrs.get("axis", 0))
        order = list(range(1, rank))
        order.insert(axis % rank, 0)
        build.replace(build("Identity", collected) if axis % rank == 0 else build("Transpose", collected, perm=order))
    del node.inputs[2 + place]
    del node.outputs[place]
    node.outputs.append(collected)
    state = body.inputs.pop(2 + place)
    body.outputs.pop(1 + place)
    output = Variable(context.fresh(f"{element.name}/{PASS.code}"), element.dtype, element.shape)
    body.nodes.append(Node("Identity", name=output.name, inputs=[element], outputs=[output]))
    body.outputs.append(output)
    insert.inputs.clear()
    insert.outputs.clear()
    insert.dead = True
    state.outputs.clear()


PASS = Pass(code="SG195", name="appending-loop", find=find, exact=True, kind="replace", feature="sequence")
