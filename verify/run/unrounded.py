"""An eight-bit model without its rounding: shows small changes that the steps of its quantisation hide.

Where values are rounded to one of 256 steps, a wrong weight may change no output for most inputs, and the last bit of a
sum may change one. Without the rounding both show as what they are: the first as an error, the second as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verify.run.fused import FUSED, written_out

if TYPE_CHECKING:
    import onnx

# Operators on eight-bit numbers that hand them on as they are; their floats can take the place of the numbers.
CARRIERS = (
    "Concat", "Flatten", "Gather", "Identity", "MaxPool", "Max", "Min", "Pad", "Reshape", "Resize", "Slice", "Split",
    "Squeeze", "Transpose", "Unsqueeze", "Expand", "Tile",
)  # fmt: skip
# Float operators that may stand between Round and Cast where QuantizeLinear is written out.
LIMITING = ("Add", "Sub", "Min", "Max", "Clip", "Where", "Identity")
WHOLE = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64")


def quantizers(model: onnx.ModelProto) -> int:
    """How many nodes of the main graph quantise values.

    They are QuantizeLinear, operators that it is fused into, and each Cast to whole numbers after a Round.
    """
    linear = sum(node.op_type in ("QuantizeLinear", *FUSED) for node in model.graph.node)
    return int(linear) + len(_rounded_casts(model.graph)[1])


def _rounded_casts(graph: onnx.GraphProto) -> tuple[set[str], set[str]]:
    """Outputs of each Round that ends in a Cast to whole numbers, and outputs of these Casts."""
    origins: dict[str, set[str]] = {}
    rounds: set[str] = set()
    casts: set[str] = set()
    for node in graph.node:
        found = set().union(*(origins.get(name, set()) for name in node.input))
        if node.op_type == "Round":
            origins[node.output[0]] = {node.output[0]}
        elif found and node.op_type in LIMITING:
            origins[node.output[0]] = found
        elif found and node.op_type == "Cast" and _target(node) in WHOLE:
            rounds |= found
            casts.add(node.output[0])
    return rounds, casts


def _target(cast: onnx.NodeProto) -> str:
    """Name of the type that a Cast makes."""
    import onnx

    return next((str(onnx.TensorProto.DataType.Name(a.i)) for a in cast.attribute if a.name == "to"), "")


def without_rounding(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A model in which values are scaled and limited as before but not rounded; None where that cannot be done.

    It can be done where what QuantizeLinear makes reaches DequantizeLinear, directly or through operators that move
    data, also where the two are written out as arithmetic, or fused into operators that compute in eight bits. Weights
    that are stored in eight bits stay as they are.
    """
    import onnx

    result = written_out(model)
    graph = result.graph
    without = _Without({value.name for value in graph.output}, _stored(graph), *_rounded_casts(graph))
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        made = without.rewrite(node, f"surgeon_unrounded_{number}")
        if made is None:
            return None
        nodes += made
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    return result if without.whole else None


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

    rounds, casts  as of `_rounded_casts`
    whole          tensors that were whole numbers of a quantisation and hold floats now
    """

    outputs: set[str]
    stored: Mapping[str, onnx.TensorProto]
    rounds: set[str]
    casts: set[str]
    whole: set[str] = field(default_factory=set)

    def rewrite(self, node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto] | None:
        """The nodes in place of a node; None where its rounding cannot be left out."""
        if node.op_type == "QuantizeLinear":
            kind = _type(node, self.stored)
            if kind is None or node.output[0] in self.outputs or _rank(node, self.stored) != 0:
                return None
            self.whole.add(node.output[0])
            return _scaled(node, kind, prefix)
        if self.whole & set(node.input):
            return self._read_whole(node, prefix)
        if node.op_type == "Round" and node.output[0] in self.rounds:
            return [_identity(node)]
        if node.output[0] in self.casts:
            self.whole.add(node.output[0])
            return None if node.output[0] in self.outputs else [_identity(node)]
        return [node]

    def _read_whole(self, node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto] | None:
        """A node that reads numbers which are floats now."""
        if node.input[0] not in self.whole:
            return None
        if node.op_type == "DequantizeLinear" and _rank(node, self.stored) == 0:
            return _unscaled(node, prefix)
        if node.op_type == "Cast" and _target(node) == "FLOAT":
            return [_identity(node)]
        if node.op_type in CARRIERS and not self.outputs & set(node.output):
            self.whole.update(node.output)
            return [node]
        return None


def _identity(node: onnx.NodeProto) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node("Identity", node.input[:1], node.output[:1])


def _type(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> int | None:
    """Type of the numbers that a QuantizeLinear makes, from its zero point or its attribute; None if it is unknown."""
    import onnx

    if len(node.input) > 2 and node.input[2]:
        zero = stored.get(node.input[2])
        return None if zero is None else int(zero.data_type)
    named = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return int(named) or int(onnx.TensorProto.UINT8)


def _rank(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> int:
    """0 where the scale is stored and is one number; -1 where each channel has its own or it is computed."""
    scale = stored.get(node.input[1])
    return 0 if scale is not None and all(dim == 1 for dim in scale.dims) else -1


def _scaled(node: onnx.NodeProto, kind: int, prefix: str) -> list[onnx.NodeProto]:
    """x / scale + zero point, limited to the range of the type, as floats."""
    import onnx
    from onnx import helper

    ranges = {onnx.TensorProto.UINT8: (0, 255), onnx.TensorProto.INT8: (-128, 127)}
    low, high = ranges.get(kind, (-(2**15), 2**16))
    names = {part: f"{prefix}_{part}" for part in ("divided", "zero", "moved", "low", "high", "limited")}
    made = [helper.make_node("Div", [node.input[0], node.input[1]], [names["divided"]])]
    last = names["divided"]
    if len(node.input) > 2 and node.input[2]:
        made += [
            helper.make_node("Cast", [node.input[2]], [names["zero"]], to=onnx.TensorProto.FLOAT),
            helper.make_node("Add", [last, names["zero"]], [names["moved"]]),
        ]
        last = names["moved"]
    bounds = {"low": float(low), "high": float(high)}
    made += [helper.make_node("Constant", [], [names[side]], value_float=value) for side, value in bounds.items()]
    made.append(helper.make_node("Max", [last, names["low"]], [names["limited"]]))
    made.append(helper.make_node("Min", [names["limited"], names["high"]], [node.output[0]]))
    return made


def _unscaled(node: onnx.NodeProto, prefix: str) -> list[onnx.NodeProto]:
    """(x - zero point) * scale, of floats."""
    import onnx
    from onnx import helper

    last, made = node.input[0], []
    if len(node.input) > 2 and node.input[2]:
        made += [
            helper.make_node("Cast", [node.input[2]], [f"{prefix}_zero"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Sub", [last, f"{prefix}_zero"], [f"{prefix}_moved"]),
        ]
        last = f"{prefix}_moved"
    return [*made, helper.make_node("Mul", [last, node.input[1]], [node.output[0]])]
