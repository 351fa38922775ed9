"""Sizes below zero, which ONNX's inference makes of some nodes; of a Slice of one it ends the process.

A window that is larger than its data, a Pad that crops more than there is, a TopK of minus one: no runtime can run such
a model, but each has to read it before it can say so. The inference of onnxruntime is the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx.helper import get_attribute_value, make_opsetid
from onnx.numpy_helper import to_array

from verify.model.walk import domain_of, every_node, node_name, reads, subgraphs, walk_graphs, walk_nodes

HIDDEN = "hidden from inference: "  # before the domain of a node that inference must not look at
WINDOWS = {  # operator -> place of its weights, whose dims are the window where no attribute says it
    "AveragePool": 0, "Conv": 1, "ConvInteger": 1, "DeformConv": 1, "LpPool": 0, "MaxPool": 0, "QLinearConv": 3,
}  # fmt: skip
INVERSE = ("ConvTranspose", "MaxUnpool")
NUMBERS = {  # operator -> places of the operands that say sizes
    "CenterCropPad": (1,), "Col2Im": (1,), "Expand": (1,), "Pad": (1,), "Resize": (1, 2, 3), "RoiAlign": (),
    "Split": (1,), "TopK": (1,), "Upsample": (1,),
}  # fmt: skip
ATTRIBUTES = ("pads", "split", "scales", "output_height", "output_width", "output_shape")  # that say sizes as well
MOST_LEVELS = 16
Infer = Callable[[onnx.ModelProto], onnx.ModelProto]


def has_slices(model: onnx.ModelProto) -> bool:
    """Whether there is a Slice, without which sizes below zero do no harm."""
    return any(node.op_type == "Slice" for node in every_node(model))


def without_negative_sizes(model: onnx.ModelProto, infer: Infer, data_prop: bool = False) -> onnx.ModelProto:
    """The model as ONNX's inference can read it: itself, or a copy without declared and computed sizes below zero.

    In the copy the nodes that make a size below zero have a domain that starts with `HIDDEN`.

    Args:
        infer: ONNX's inference; it returns its argument where it fails.
        data_prop: whether it follows the contents of shapes.
    """
    if not has_slices(model):
        return model
    declared = any(True for _ in _negative_dims(model.graph))
    if not declared and not _risky(model, data_prop):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for dim in list(_negative_dims(copy.graph)):
        dim.Clear()
    nodes = list(walk_nodes(copy.graph.node))  # kept, because an id is that of a node as long as it is kept
    risky = _risky(copy, data_prop)
    if risky:
        _hide_negative(copy, nodes, risky, infer)
    return copy


def negative_size(model: onnx.ModelProto, infer: Infer) -> str:
    """The name of a node whose output would get a size below zero in front of a Slice; "" where there is none."""
    safe = without_negative_sizes(model, infer)
    hidden = (node for node in walk_nodes(safe.graph.node) if node.domain.startswith(HIDDEN))
    return next((node_name(node) for node in hidden), "")


def declared_negative(model: onnx.ModelProto) -> str:
    """The name of a tensor that is declared with a size below zero in a model with a Slice; "" where there is none.

    onnxruntime takes such a size as unknown, but the process of ONNX's checker with `full_check` ends.
    """
    if not has_slices(model):
        return ""
    return next(_negative_tensors(model.graph), "")


def hide(node: onnx.NodeProto) -> None:
    """Hide a node from inference."""
    if not node.domain.startswith(HIDDEN):
        node.domain = HIDDEN + node.domain


def import_hidden(model: onnx.ModelProto) -> None:
    """Import the domains of the hidden nodes."""
    used = {node.domain for node in walk_nodes(model.graph.node) if node.domain.startswith(HIDDEN)}
    known = {entry.domain for entry in model.opset_import}
    model.opset_import.extend(make_opsetid(domain, 1) for domain in sorted(used - known))


def _hide_negative(model: onnx.ModelProto, nodes: list[onnx.NodeProto], risky: set[int], infer: Infer) -> None:
    """Hide those of the nodes that make sizes below zero, from the first to the last.

    The Slices behind a risky node are hidden as well until the sizes in front of them are known.
    """
    levels: dict[int, int] = {}
    _find_levels(model, model.graph, {}, risky, levels)
    waiting = [(levels[id(node)], node) for node in nodes if id(node) in levels]
    for _, node in waiting:
        hide(node)
    import_hidden(model)
    for level in sorted(set(levels.values()))[:MOST_LEVELS]:
        inferred = infer(model)
        if inferred is model:
            return
        negative = set(_negative_tensors(inferred.graph))
        for node in nodes if negative else ():
            if not negative.isdisjoint(node.output):
                hide(node)
        for place, node in waiting:
            if place == level and id(node) not in risky:
                node.domain = node.domain.removeprefix(HIDDEN)
        import_hidden(model)


def _find_levels(
    model: onnx.ModelProto, graph: onnx.GraphProto, known: dict[str, int], risky: set[int], found: dict[int, int]
) -> dict[str, int]:
    """Add to `found` how many times a risky node and then a Slice come before each Slice behind a risky node.

    Args:
        known: twice that number for the tensors seen so far, and one more behind a risky node; it grows.
    """
    slicing = _functions_with(model, lambda node: node.op_type == "Slice")
    for node in graph.node:
        level = max((known.get(name, 0) for name in reads(node)), default=0)
        for _, body in subgraphs(node):
            inner = _find_levels(model, body, {**known, **{value.name: level for value in body.input}}, risky, found)
            level = max([level, *(inner.get(value.name, 0) for value in body.output)])
        level += level % 2 == 0 and id(node) in risky
        if level % 2 and (node.op_type == "Slice" or (node.domain, node.op_type) in slicing):
            found[id(node)] = level // 2
            level += 1
        known.update((name, level) for name in node.output if name)
    return known


def _risky(model: onnx.ModelProto, data_prop: bool) -> set[int]:
    """The nodes (by `id`) of which it cannot be seen that their outputs have no size below zero."""
    constants = _Constants(model)
    functions = _functions_with(model, lambda node: _may_be_negative(node, constants, True))
    return {
        id(node)
        for node in walk_nodes(model.graph.node)
        if (node.domain, node.op_type) in functions or _may_be_negative(node, constants, data_prop)
    }


def _functions_with(model: onnx.ModelProto, holds: Callable[[onnx.NodeProto], bool]) -> set[tuple[str, str]]:
    """Domain and name of the functions in which a node is such, or that call one of those."""
    found: set[tuple[str, str]] = set()
    for _ in model.functions:
        before = len(found)
        for function in model.functions:
            if any(holds(node) or (node.domain, node.op_type) in found for node in walk_nodes(function.node)):
                found.add((function.domain, function.name))
        if len(found) == before:
            break
    return found


class _Constants:
    """Initializers and Constant nodes by name, read when the first is asked for."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.found: dict[str, Any] | None = None

    def get(self, node: onnx.NodeProto, place: int) -> Any:
        """The TensorProto or number behind an input; None where it is computed or left out."""
        if self.found is None:
            self.found = {t.name: t for graph in walk_graphs(self.model.graph) for t in graph.initializer}
            for made in every_node(self.model):
                for attribute in made.attribute if made.op_type == "Constant" else ():
                    self.found |= dict.fromkeys(made.output, get_attribute_value(attribute))
        return self.found.get(node.input[place]) if place < len(node.input) else None


def _may_be_negative(node: onnx.NodeProto, constants: _Constants, data_prop: bool) -> bool:
    op = node.op_type
    if domain_of(node.domain) or (op not in WINDOWS and op not in NUMBERS and op not in INVERSE):
        return False
    attributes = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    try:
        if op in WINDOWS or op in INVERSE:
            return _window_may_be_negative(node, attributes, constants)
        stated = [attributes[name] for name in ATTRIBUTES if name in attributes]
        for place in NUMBERS[op]:
            value = constants.get(node, place)
            if value is None and data_prop and place < len(node.input) and node.input[place]:
                return True
            stated += [] if value is None else [value]
        return any(_numbers(value).min(initial=0) < 0 for value in stated)
    except Exception:  # a node or a tensor that breaks ONNX's rules
        return True


def _window_may_be_negative(node: onnx.NodeProto, attributes: dict[str, Any], constants: _Constants) -> bool:
    if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        return False
    window = list(attributes.get("kernel_shape", ()))
    if not window:
        weights = constants.get(node, WINDOWS.get(node.op_type, 1))
        if weights is None:
            return True
        window = list(weights.dims)[2:]
    count = len(window)
    strides, dilations, extra, pads = (
        list(attributes.get(name) or [default] * size)
        for name, default, size in (
            ("strides", 1, count), ("dilations", 1, count), ("output_padding", 0, count), ("pads", 0, 2 * count),
        )
    )  # fmt: skip
    padded = attributes.get("auto_pad") != b"VALID"
    for axis, size in enumerate(window):
        reach = (size - 1) * dilations[axis] + 1
        pad = pads[axis] + pads[axis + count] if padded else 0
        if node.op_type in INVERSE:
            if reach + extra[axis] - strides[axis] - pad < 0 or min(attributes.get("output_shape", ()), default=0) < 0:
                return True
        elif pad + strides[axis] < reach:  # with data of size 0; dividing by the stride rounds towards zero
            return True
    return False


def _numbers(value: Any) -> Any:
    return to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    for inner in walk_graphs(graph):
        yield from (*inner.input, *inner.output, *inner.value_info)


def _negative_dims(graph: onnx.GraphProto) -> Iterator[Any]:
    return (dim for info in _infos(graph) for dim in _dims(info) if dim.dim_value < 0)


def _negative_tensors(graph: onnx.GraphProto) -> Iterator[str]:
    return (info.name for info in _infos(graph) if any(dim.dim_value < 0 for dim in _dims(info)))


def _dims(info: onnx.ValueInfoProto) -> Iterable[Any]:
    return info.type.tensor_type.shape.dim if info.type.HasField("tensor_type") else ()
