"""An eight-bit model without its rounding: shows small changes that the steps of its quantisation hide.

Where values are rounded to one of 256 steps, a wrong weight may change no output for most inputs, and the last bit of a
sum may change one. Without the rounding both show as what they are: the first as an error, the second as nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

# Operators on eight-bit numbers that hand them on as they are; their floats can take the place of the numbers.
CARRIERS = (
    "Concat", "Flatten", "Gather", "Identity", "MaxPool", "Max", "Min", "Pad", "Reshape", "Resize", "Slice", "Split",
    "Squeeze", "Transpose", "Unsqueeze", "Expand", "Tile",
)  # fmt: skip


def quantizers(model: onnx.ModelProto) -> int:
    """How many nodes of the main graph quantise values."""
    return sum(node.op_type == "QuantizeLinear" for node in model.graph.node)


def without_rounding(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A model in which values are scaled and limited as before but not rounded; None where that cannot be done.

    It can be done where what QuantizeLinear makes reaches DequantizeLinear, directly or through operators that move
    data. Weights that are stored in eight bits stay as they are.
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    stored |= {node.output[0]: a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute}
    limits: dict[str, int] = {}  # tensors that hold floats now, with the type their numbers had
    outputs = {value.name for value in graph.output}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(model.graph.node):
        prefix = f"surgeon_unrounded_{number}"
        if node.op_type == "QuantizeLinear":
            kind = _type(node, stored)
            if kind is None or node.output[0] in outputs or _rank(node, stored) != 0:
                return None
            limits[node.output[0]] = kind
            nodes += _scaled(node, kind, prefix)
        elif any(name in limits for name in node.input):
            if node.op_type == "DequantizeLinear" and node.input[0] in limits and _rank(node, stored) == 0:
                nodes += _unscaled(node, prefix)
            elif node.op_type in CARRIERS and node.input[0] in limits and not outputs & set(node.output):
                limits |= dict.fromkeys(node.output, limits[node.input[0]])
                nodes.append(node)
            else:
                return None
        else:
            nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    return result if limits else None


def _type(node: onnx.NodeProto, stored: dict[str, Any]) -> int | None:
    """Type of the numbers that a QuantizeLinear makes, from its zero point or its attribute; None if it is unknown."""
    import onnx

    if len(node.input) > 2 and node.input[2]:
        zero = stored.get(node.input[2])
        return None if zero is None else int(zero.data_type)
    named = next((attribute.i for attribute in node.attribute if attribute.name == "output_dtype"), 0)
    return int(named) or int(onnx.TensorProto.UINT8)


def _rank(node: onnx.NodeProto, stored: dict[str, Any]) -> int:
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
