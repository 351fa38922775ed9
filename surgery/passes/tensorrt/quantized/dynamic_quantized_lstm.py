"""DynamicQuantizeLSTM of com.microsoft.

What it does: writes the cell as the body of a Scan. As in onnxruntime's kernel, the data is quantized once and the
hidden state in each step. The stored weights become floating point; where that takes more than `--fold-limit` bytes
for one of them, it stays in eight bits with a DequantizeLinear behind it.
Why: TensorRT's parser does not know the operator, with which onnxruntime's quantizer replaces every LSTM.
Before → After: `y = com.microsoft.DynamicQuantizeLSTM(x, w, r, b, ...)` → `y = Scan(h, c, MatMul(quantized x, w) + b)
<g = MatMul(quantized h, r) + x; the gates of an LSTM>` for each direction
Leaves alone: computed weights, sequence lengths, peepholes, other activations, a clip.
Numerics: within rounding. On a processor without VNNI instructions, onnxruntime limits sums of two products to 16 bits
if weights use all eight bits. With several threads, onnxruntime quantizes each row of a batch by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.nodes import Variable
from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings, text
from surgery.passes.ops.quantize import dequantized, optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

DIRECTIONS = {"forward": (0,), "reverse": (1,), "bidirectional": (0, 1)}  # 1 for backwards
STORED = (1, 2, 8, 9, 10, 11)  # weights, scales and zero points
OUTPUT_AXES = (1, 0, 0)


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG197", FORMS)


def _write(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    data = _quantized(build, node.inputs[0])
    ways = DIRECTIONS[text(node.attrs.get("direction", "forward"))]
    made = [_one_way(build, node, data, place, backwards) for place, backwards in enumerate(ways)]
    results = []
    for each, axis in zip(zip(*made, strict=True), OUTPUT_AXES, strict=True):
        parts = [build.unsqueeze(part, axis) for part in each]
        results.append(parts[0] if len(parts) == 1 else build("Concat", *parts, axis=axis))
    return results[: len(node.outputs)]


def _quantized(build: Build, tensor: gs.Tensor) -> gs.Tensor:
    """The tensor rounded to 256 steps between its smallest and its largest value."""
    narrow, scale, zero_point = build("DynamicQuantizeLinear", tensor, outputs=3)
    return dequantized(build, narrow, scale, zero_point)


def _one_way(build: Build, node: gs.Node, data: gs.Tensor, place: int, backwards: int) -> tuple[gs.Tensor, ...]:
    """All hidden states [length, batch, hidden], and the last hidden and cell states [batch, hidden]."""
    hidden = int(node.attrs["hidden_size"])
    product = build("MatMul", data, _weights(build, node, place, 1, 8))
    bias = optional_input(node, 3)
    if bias is not None:
        both = build.squeeze(build.slice(bias, [0], [place], [place + 1]), 0)
        halves = [build.slice(both, [0], [start], [start + 4 * hidden]) for start in (0, 4 * hidden)]
        product = build("Add", product, build("Add", *halves))
    states = [_state(build, node, index, place, hidden) for index in (5, 6)]
    body = _body(build, node, hidden, _weights(build, node, place, 2, 10))
    last, cell, every = build(
        "Scan",
        *states,
        product,
        outputs=3,
        body=body,
        num_scan_inputs=1,
        scan_input_directions=[backwards],
        scan_output_directions=[backwards],
    )
    for tensor, dims in ((last, [None, hidden]), (cell, [None, hidden]), (every, [None, None, hidden])):
        tensor.dtype, tensor.shape = np.dtype(np.float32), dims
    return every, last, cell


def _weights(build: Build, node: gs.Node, place: int, values: int, scales: int) -> gs.Tensor:
    """Weights of one direction in float32, [inputs, 4 * hidden]."""
    parameters = (build.context.constant(node.inputs[at]) for at in (values, scales, scales + 1))
    stored, scale, zero = (np.asarray(value)[place] for value in parameters)
    grown = 3 * stored.nbytes
    if grown > build.context.options.fold_limit and (scale.size == 1 or build.opset >= 13):
        packed, step, shift = (build.constant(value) for value in (stored, scale.astype(np.float32), zero))
        return dequantized(build, packed, step, shift, axis=1)
    return build.constant((stored.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32))


def _state(build: Build, node: gs.Node, index: int, place: int, hidden: int) -> gs.Tensor:
    """The first hidden or cell state of one direction, [batch, hidden]; zeros where none is given."""
    given = optional_input(node, index)
    if given is not None:
        return build.squeeze(build.slice(given, [0], [place], [place + 1]), 0)
    batch = build.slice(build("Shape", node.inputs[0]), [0], [1], [2])
    return build("Expand", build.constant([0.0], np.float32), build("Concat", batch, build.ints([hidden]), axis=0))


def _body(outer: Build, node: gs.Node, hidden: int, weights: gs.Tensor) -> gs.Graph:
    """One step: states and the data's part of the gates in, new states and the hidden state out."""
    body = gs.Graph(name=outer.name("step"))
    build = Build(body, node, outer.context, outer.code)
    state, cell = (Variable(build.name(name), np.float32, [None, hidden]) for name in ("hidden", "cell"))
    data = Variable(build.name("gates"), np.float32, [None, 4 * hidden])
    gates = build("Add", build("MatMul", _quantized(build, state), weights), data)
    quarters = [build.slice(gates, [1], [hidden * part], [hidden * (part + 1)]) for part in range(4)]
    let_in, let_out, keep = (build("Sigmoid", part) for part in quarters[:3])
    new_cell = build("Add", build("Mul", keep, cell), build("Mul", let_in, build("Tanh", quarters[3])))
    new_state = build("Mul", let_out, build("Tanh", new_cell))
    copies = build("Identity", new_state)
    body.inputs, body.outputs, body.nodes = [state, cell, data], [new_state, new_cell, copies], build.nodes
    return body


def _plain(node: gs.Node, context: Context) -> bool:
    stored = all(
        optional_input(node, at) is not None and context.constant(node.inputs[at]) is not None for at in STORED
    )
    known = text(node.attrs.get("direction", "forward")) in DIRECTIONS and node.attrs.get("hidden_size")
    bare = optional_input(node, 4) is None and optional_input(node, 7) is None and not node.attrs.get("input_forget")
    return bool(stored and known and bare and np.dtype(node.inputs[0].dtype) == np.float32)


FORMS = {
    "DynamicQuantizeLSTM": Form(
        _write, inputs=12, attributes=("direction", "hidden_size", "input_forget"), holds=_plain
    )
}
PASS = Pass(code="SG197", name="dynamic-quantized-lstm", find=find, exact=False, kind="replace")
