"""A Loop that appends a tensor to a sequence in each iteration; the sequence is then stacked, joined or read.

What it does: makes the tensors a scan output of the loop, and moves the dim of the iterations to the axis along which
the tensors are put together. Single elements and their number are read from the scan output.
Why: TensorRT has tensors only, no sequences.
Before → After: `s = Loop(n, on, SequenceEmpty()) <s' = SequenceInsert(s, a)>; y = ConcatFromSequence<new_axis = 1>(s)`
→ `y = Loop(n, on) <a>`
Leaves alone: sequences that have elements before the loop, are read inside it or by other operators, elements inserted
at a given position, and elements whose size may differ from one iteration to the next.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import is_graph_output
from surgery.graph.nodes import Node, Variable
from surgery.graph.walk import producer
from surgery.passes.ops.axes import reshaped
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

READERS = ("ConcatFromSequence", "SequenceAt", "SequenceLength")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        if not isinstance(body, gs.Graph) or len(body.inputs) != len(node.inputs):
            continue
        for place in range(len(node.inputs) - 2):
            insert = _appended(node, body, place)
            readers = [] if insert is None else _readers(graph, node.outputs[place], insert.inputs[1])
            if readers:
                fix = partial(rewrite, graph, node, body, place, readers, context)
                yield finding("the loop appends to a sequence, which is read after the loop", node, fix, *readers)
                break


def _appended(node: gs.Node, body: gs.Graph, place: int) -> gs.Node | None:
    """The SequenceInsert, if it is the only use of this loop state and the sequence starts empty."""
    state, made = body.inputs[2 + place], body.outputs[1 + place]
    insert = producer(made, "SequenceInsert")
    if producer(node.inputs[2 + place], "SequenceEmpty") is None or insert is None:
        return None
    alone = insert.inputs[0] is state and len(state.outputs) == 1 and not made.outputs
    at_the_end = len(insert.inputs) < 3 or insert.inputs[2].is_empty()
    return insert if alone and at_the_end and insert.inputs[1].dtype is not None else None


def _readers(graph: gs.Graph, sequence: gs.Tensor, element: gs.Tensor) -> list[gs.Node]:
    """The readers of the sequence, where all of them can read the stacked elements instead."""
    readers, shape = list(sequence.outputs), element.shape
    own = all(any(reader is node for node in graph.nodes) for reader in readers)
    if not own or is_graph_output(graph, sequence) or not all(reader.op in READERS for reader in readers):
        return []
    joins = [reader for reader in readers if reader.op == "ConcatFromSequence" and not reader.attrs.get("new_axis")]
    stacks = any(reader.attrs.get("new_axis") for reader in readers)
    if shape is None:  # the axis is known in front only
        known = all(reader.attrs.get("new_axis") and not reader.attrs["axis"] for reader in readers)
        return readers if known else []
    # Elements that are joined have equal dims but along the axis, elements that are stacked have equal dims.
    fixed = [isinstance(shape[int(join.attrs["axis"]) % len(shape)], int) for join in joins if shape]
    alike = stacks or any(fixed) or all(isinstance(dim, int) for dim in shape)
    return readers if alike and len(fixed) == len(joins) else []


def rewrite(
    graph: gs.Graph, node: gs.Node, body: gs.Graph, place: int, readers: list[gs.Node], context: Context
) -> None:
    """Move the state to the scan outputs."""
    insert, sequence = body.outputs[1 + place].inputs[0], node.outputs[place]
    element = insert.inputs[1]
    dims = None if element.shape is None else [None, *element.shape]
    collected = Variable(context.fresh(f"{sequence.name}/{PASS.code}"), element.dtype, dims)
    builds = [Build(graph, reader, context, PASS.code) for reader in readers]
    results = [_read(build, collected, len(element.shape or ())) for build in builds]
    for build, result in zip(builds, results, strict=True):
        build.replace(result)
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


def _read(build: Build, collected: gs.Tensor, rank: int) -> gs.Tensor:
    """The result of a reader; `collected` has the iterations in front of the `rank` dims of an element."""
    reader = build.node
    if reader.op == "SequenceAt":
        return build("Gather", collected, build.reshape(reader.inputs[1], []), axis=0)
    if reader.op == "SequenceLength":
        return build("Gather", build("Shape", collected), np.array(0, np.int64), axis=0)
    joins = not reader.attrs.get("new_axis")
    axis = int(reader.attrs.get("axis", 0)) % (rank if joins else rank + 1)
    order = list(range(1, rank + 1))
    order.insert(axis, 0)
    moved = build("Transpose", collected, perm=order) if axis else build("Identity", collected)
    if not joins:
        return moved
    dims, count = build("Shape", moved), rank + 1
    length = build.axes("ReduceProd", build.slice(dims, [0], [axis], [axis + 2]), [0], keepdims=1)
    before, after = build.slice(dims, [0], [0], [axis]), build.slice(dims, [0], [axis + 2], [count])
    return reshaped(build, moved, build("Concat", before, length, after, axis=0))


PASS = Pass(code="SG195", name="appending-loop", find=find, exact=True, kind="replace", feature="sequence")
