"""An eight-bit model without its rounding: shows small changes that the steps of its quantisation hide.

Where values are rounded to one of 256 steps, a wrong weight may change no output for most inputs, and the last bit of a
sum may change one. Without the rounding, the wrong weight shows as an error and the last bit makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verify.run.fused import FUSED, written_out

if TYPE_CHECKING:
    import onnx

# Operators that pass eight-bit numbers on unchanged, so that they work on floats as well.
CARRIERS = (
    "Concat", "Flatten", "Gather", "Identity", "MaxPool", "Max", "Min", "Pad", "Reshape", "Resize", "Slice", "Split",
    "Squeeze", "Transpose", "Unsqueeze", "Expand", "Tile",
)  # fmt: skip
MIXERS = ("Concat", "Max", "Min")  # all inputs of these must share one zero point
# Float operators that may stand between Round and Cast where QuantizeLinear is written out.
LIMITING = ("Add", "Sub", "Min", "Max", "Clip", "Where", "Identity")
WHOLE = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64")


def quantizers(model: onnx.ModelProto) -> int:
    """How many nodes of the main graph quantise values.

    They are QuantizeLinear, operators that it is fused into, and each Round of a quantisation that is written out.
    """
    found = _written_out(model.graph)
    linear = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", *FUSED)]
    return len(found.rounds) + sum(node.output[0] not in found.rounded for node in linear)


@dataclass
class _WrittenOut:
    """Quantisation that is written out as arithmetic, by the outputs of its nodes.

    rounds   each Round that ends in a Cast to whole numbers, in QuantizeLinear, or in a Mul by what was divided by
    casts    these Casts
    rounded  QuantizeLinear of numbers that such a Round has made
    """

    rounds: set[str] = field(default_factory=set)
    casts: set[str] = field(default_factory=set)
    rounded: set[str] = field(default_factory=set)


def _written_out(graph: onnx.GraphProto) -> _WrittenOut:
    result = _WrittenOut()
    origins: dict[str, set[str]] = {}
    divisors: dict[str, float] = {}
    scales: dict[str, float] = {}
    stored = _stored(graph)
    for node in graph.node:
        found = set().union(*(origins.get(name, set()) for name in node.input))
        if node.op_type == "Div":
            divisors |= _number(node.output[0], stored.get(node.input[1]))
        elif node.op_type == "Round":
            origins[node.output[0]] = {node.output[0]}
            if node.input[0] in divisors:
                scales[node.output[0]] = divisors[node.input[0]]
        elif found and node.op_type in (*LIMITING, *CARRIERS):
            origins |= dict.fromkeys(node.output, found)
        elif found and node.op_type == "Cast" and _target(node) in WHOLE:
            result.rounds |= found
            result.casts.add(node.output[0])
        elif found and node.op_type == "QuantizeLinear":
            result.rounds |= found
            result.rounded.add(node.output[0])
        elif found and node.op_type == "Mul":
            by = {value for name in node.input for value in _number(name, stored.get(name)).values()}
            result.rounds |= {name for name in found if scales.get(name) in by}
    return result


def _number(name: str, tensor: onnx.TensorProto | None) -> dict[str, float]:
    """{name: value} of a tensor of one element that is stored in the model's own file, else {}."""
    from onnx import numpy_helper

    if tensor is None or tensor.data_location == tensor.EXTERNAL or any(dim != 1 for dim in tensor.dims):
        return {}
    return {name: float(numpy_helper.to_array(tensor).reshape(-1)[0])}


def _target(cast: onnx.NodeProto) -> str:
    """Name of the type that a Cast makes."""
    import onnx

    return next((str(onnx.TensorProto.DataType.Name(a.i)) for a in cast.attribute if a.name == "to"), "")


def without_rounding(model: onnx.ModelProto, through_zero: bool = False) -> onnx.ModelProto | None:
    """A model in which values are scaled and limited as before but not rounded; None where that is impossible.

    It can be done where what QuantizeLinear makes reaches DequantizeLinear, directly or through operators that move
    data, also where the two are written out as arithmetic, or fused into operators that compute in eight bits. Weights
    that are stored in eight bits stay as they are.

    Args:
        through_zero: add and subtract zero points, which rounds small values in the last bits.
    """
    import onnx

    result = written_out(model)
    graph = result.graph
    without = _Without({value.name for value in graph.output}, _stored(graph), _written_out(graph), through_zero)
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        made = without.rewrite(node, f"surgeon_unrounded_{number}")
        if made is None:
            return None
        nodes += made
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    return result if without.whole or without.written_out.rounds else None


def _stored(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Stored tensors of the main graph by name, also those that Identity hands on."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors = [attribute.t for attribute in node.attribute if attribute.HasField("t")]
            found |= dict(zip(node.output, tensors, strict=False))
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


@dataclass
class _Without:
    """Rewrites one node after the other.

    written_out    quantisation that is written out as arithmetic
    through_zero   add and subtract the zero point, as models do in which the arithmetic is written out
    whole          tensors that were whole numbers of a quantisation and hold floats now, each with the zero point that
                   was not added, because the sum would round small values
    """

    outputs: set[str]
    stored: Mapping[str, onnx.TensorProto]
    written_out: _WrittenOut
    through_zero: bool = False
    whole: dict[str, float] = field(default_factory=dict)

    def rewrite(self, node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto] | None:
        """The nodes in place of a node; None where its rounding cannot be left out."""
        if node.op_type == "QuantizeLinear":
            kind, zero = _type(node, self.stored), self._zero_point(node)
            if kind is None or zero is None or node.output[0] in self.outputs or not self._one_scale(node):
                return None
            self.whole[node.output[0]] = zero
            return _scaled(node, kind, zero, self.through_zero, prefix)
        if self.whole.keys() & set(node.input):
            return self._read_whole(node, prefix)
        if node.op_type == "Round" and node.output[0] in self.written_out.rounds:
            return [_identity(node)]
        if node.output[0] in self.written_out.casts:
            self.whole[node.output[0]] = 0.0
            return None if node.output[0] in self.outputs else [_identity(node)]
        return [node]

    def _read_whole(self, node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto] | None:
        """A node that reads numbers which are floats now."""
        zeros = {self.whole.get(name) for name in node.input}
        first = self.whole.get(node.input[0])
        if first is None or (len(zeros) > 1 and node.op_type in MIXERS):
            return None
        if node.op_type == "DequantizeLinear":
            zero = self._zero_point(node)
            if zero is None or not self._one_scale(node):
                return None
            made, moved = _sum(node.input[0], first - zero, prefix)
            return [*made, _node("Mul", [moved, node.input[1]], node.output[0])]
        if node.op_type == "Cast" and _target(node) == "FLOAT":
            made, moved = _sum(node.input[0], first, prefix)
            return [*made, _node("Identity", [moved], node.output[0])]
        if node.op_type in CARRIERS and not self.outputs & set(node.output) and not (first and node.op_type == "Pad"):
            self.whole |= dict.fromkeys(node.output, first)
            return [node]
        return None

    def _zero_point(self, node: onnx.NodeProto) -> float | None:
        """The zero point of QuantizeLinear or DequantizeLinear; None where it is computed or each channel has one."""
        from onnx import numpy_helper

        if len(node.input) < 3 or not node.input[2]:
            return 0.0
        tensor = self.stored.get(node.input[2])
        if tensor is None or any(dim != 1 for dim in tensor.dims):
            return None
        return float(numpy_helper.to_array(tensor).reshape(-1)[0])

    def _one_scale(self, node: onnx.NodeProto) -> bool:
        """Whether the scale is stored and is one number for all channels."""
        scale = self.stored.get(node.input[1])
        return scale is not None and all(dim == 1 for dim in scale.dims)


def _node(operator: str, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node(operator, inputs, [output])


def _identity(node: onnx.NodeProto) -> onnx.NodeProto:
    return _node("Identity", node.input[:1], node.output[0])


def _constant(name: str, value: float) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node("Constant", [], [name], value_float=value)


def _sum(name: str, number: float, prefix: str) -> tuple[list[onnx.NodeProto], str]:
    """Nodes that add a number to a tensor, and the name of the sum; nothing is added where it is 0."""
    if not number:
        return [], name
    number_name, moved = f"{prefix}_by_{number:g}", f"{prefix}_moved_by_{number:g}"
    return [_constant(number_name, number), _node("Add", [name, number_name], moved)], moved


def _type(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> int | None:
    """Type of the numbers that a QuantizeLinear makes, from its zero point or its attribute; None if it is unknown."""
    import onnx

    if len(node.input) > 2 and node.input[2]:
        zero = stored.get(node.input[2])
        return None if zero is None else int(zero.data_type)
    named = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return int(named) or int(onnx.TensorProto.UINT8)


def _scaled(node: onnx.NodeProto, kind: int, zero: float, through_zero: bool, prefix: str) -> list[onnx.NodeProto]:
    """x / scale, limited so that the sum with the zero point is in the range of the type, as floats."""
    import onnx

    ranges = {onnx.TensorProto.UINT8: (0, 255), onnx.TensorProto.INT8: (-128, 127)}
    low, high = ranges.get(kind, (-(2**15), 2**16))
    names = {part: f"{prefix}_{part}" for part in ("divided", "low", "high", "limited")}
    made = [_node("Div", node.input[:2], names["divided"])]
    last = names["divided"]
    for number in (zero, -zero) if through_zero else ():
        more, last = _sum(last, number, prefix)
        made += more
    return [
        *made,
        _constant(names["low"], low - zero),
        _constant(names["high"], high - zero),
        _node("Max", [last, names["low"]], names["limited"]),
        _node("Min", [names["limited"], names["high"]], node.output[0]),
    ]
