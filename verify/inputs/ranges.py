"""Which values an input may take, read from the operators it reaches: ids stay inside the table they index."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verify.model.walk import dims_of

if TYPE_CHECKING:
    import onnx

# Operators that pass their first input on without changing its values.
CARRIERS = {
    "Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Tile",
    "Concat", "Slice", "Split", "Gather",
}  # fmt: skip
# Inputs that hold sizes, counts or axes: (operator, position).
SIZES = {
    ("Reshape", 1), ("Expand", 1), ("ConstantOfShape", 0), ("Tile", 1), ("Loop", 0), ("Range", 0), ("Range", 1),
    ("Range", 2), ("Resize", 3), ("Split", 1), ("OneHot", 1), ("TopK", 1),
}  # fmt: skip
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
AXES = {("Squeeze", 1), ("Unsqueeze", 1), ("Slice", 3), ("CumSum", 1), ("CumProd", 1)}
AXES |= {(f"Reduce{kind}", 1) for kind in REDUCTIONS}
PADS = {("Pad", 1)}
# Inputs that index an axis of the first input: position and how the axis is found.
INDICES = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "ScatterElements": 1, "ScatterND": 1, "Scatter": 1}
# Inputs that index the rows of another input, a table: (operator, position) and the position of the table.
ROWS = {
    ("EmbedLayerNormalization", 0): 2,
    ("EmbedLayerNormalization", 1): 4,
    ("EmbedLayerNormalization", 8): 3,
}
# Scales of quantization: a scale of zero means nothing.
SCALES = {
    ("QuantizeLinear", 1),
    ("DequantizeLinear", 1),
    ("QLinearMatMul", 1),
    ("QLinearMatMul", 4),
    ("QLinearMatMul", 6),
}
SCALES |= {("QLinearConv", 1), ("QLinearConv", 4), ("QLinearConv", 6)}
# Operands of attention: scores thousands apart make its softmax a matter of the last bit, and overflow half precision.
SCORES = {("Attention", place) for place in range(6)} | {("FlexAttention", place) for place in (0, 1, 2)}
# Lengths of the sequences in a batch, of which the first input has as many steps at most.
LENGTHS = {("LSTM", 4), ("GRU", 4), ("RNN", 4), ("DynamicQuantizeLSTM", 4)}
# Positions in sequences of tensors, of which nothing but the last one and the first one is sure to be there.
POSITIONS = {("SequenceAt", 1), ("SequenceErase", 1), ("SequenceInsert", 2)}
# Losses whose second input holds classes, counted by axis 1 of the first.
CLASSES = ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")


@dataclass(frozen=True)
class Range:
    """Closed range of values; None where that end is open. `distinct` values count up from 0, as axes must differ."""

    low: float | None = None
    high: float | None = None
    distinct: bool = False

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """Both ends, open ones from the arguments, in order."""
        first = low if self.low is None else self.low
        last = high if self.high is None else self.high
        return (first, max(first, last))

    def meet(self, other: Range) -> Range:
        """The values that both ranges allow."""
        lows = [end for end in (self.low, other.low) if end is not None]
        highs = [end for end in (self.high, other.high) if end is not None]
        return Range(max(lows, default=None), min(highs, default=None), self.distinct or other.distinct)


def input_ranges(model: onnx.ModelProto) -> dict[str, Range]:
    """Range of each graph input that some operator confines; the others are missing."""
    graph = model.graph
    users: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
    for node in graph.node:
        for position, name in enumerate(node.input):
            users[name].append((node, position))
    shapes = _shapes(graph)
    found = {}
    for value in graph.input:
        span = _reach(value.name, users, shapes)
        if span is not None:
            found[value.name] = span
    return found


def _shapes(graph: onnx.GraphProto) -> dict[str, list[int | None]]:
    shapes: dict[str, list[int | None]] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = dims_of(value.type.tensor_type)
        if dims is not None:
            shapes[value.name] = [dim if isinstance(dim, int) else None for dim in dims]
    shapes.update({tensor.name: list(tensor.dims) for tensor in graph.initializer})
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    shapes[node.output[0]] = list(attribute.t.dims)
    return shapes


def _reach(
    name: str, users: dict[str, list[tuple[onnx.NodeProto, int]]], shapes: dict[str, list[int | None]]
) -> Range | None:
    """The range allowed by the operators that `name` reaches through carriers; looks at a few thousand at most."""
    seen, todo, span = {name}, [name], None
    while todo and len(seen) < 5000:
        for node, position in users.get(todo.pop(), ()):
            here = _allowed(node, position, shapes)
            if here is not None:
                span = here if span is None else span.meet(here)
            carried = position == 0 or node.op_type == "Concat"
            if carried and node.op_type in CARRIERS:
                new = [out for out in node.output if out not in seen]
                seen.update(new)
                todo += new
    return span


def _allowed(node: onnx.NodeProto, position: int, shapes: dict[str, list[int | None]]) -> Range | None:
    place = (node.op_type, position)
    if place in SIZES:
        return Range(1, 4)
    if place in SCALES:
        return Range(0.01, 1.0)
    if place in SCORES:
        return Range(-4.0, 4.0)
    if place in PADS:
        return Range(0, 1)
    if place in AXES:
        return Range(0, 0, distinct=True)
    if place in LENGTHS:
        shape = shapes.get(node.input[0])
        return Range(1, (shape[0] or 1) if shape else 1)
    if place in POSITIONS:
        return Range(-1, 0)
    if node.op_type in CLASSES and position == 1:
        shape = shapes.get(node.input[0])
        return Range(0, (shape[1] or 1) - 1 if shape is not None and len(shape) > 1 else 0)
    if place in ROWS and ROWS[place] < len(node.input):
        table = shapes.get(node.input[ROWS[place]])
        return Range(0, max((table[0] or 1) - 1, 0) if table else 0)
    if INDICES.get(node.op_type) == position:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        shape = shapes.get(node.input[0])
        if shape is None or not -len(shape) <= axis < len(shape) or shape[axis] is None:
            return Range(0, 0)
        return Range(0, max((shape[axis] or 1) - 1, 0))
    return None
