"""Pieces of random models whose shapes ONNX's own inference gets wrong in some opset."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from tests.surgery.fuzz.generator import Draft, Refused
from tests.surgery.fuzz.pieces import control, draft_info

LARGEST = np.iinfo(np.int64).max


def pool(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 2)
    count = draft.values[source].ndim - 2
    attributes: dict[str, Any] = {"kernel_shape": [draft.chance.randint(1, 3) for _ in range(count)]}
    attributes["strides"] = [draft.chance.randint(1, 3) for _ in range(count)]
    if draft.chance.random() < 0.4:
        attributes["auto_pad"] = draft.chance.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    else:
        attributes["pads"] = [draft.chance.randint(0, size - 1) for size in attributes["kernel_shape"]] * 2
    op = draft.chance.choice(["MaxPool", "AveragePool"])
    if draft.opset >= 10:
        attributes["ceil_mode"] = draft.chance.randint(0, 1)
    if draft.opset >= (10 if op == "MaxPool" else 19):
        attributes["dilations"] = [draft.chance.randint(1, 2) for _ in range(count)]
    return draft.add(op, source, **attributes)


def cut(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim > 0)
    axis = draft.chance.randrange(draft.values[source].ndim)
    start, end = (draft.chance.choice([0, 1, -1, 2, -9, 9, LARGEST, -LARGEST]) for _ in range(2))
    if draft.opset < 10:
        return draft.add("Slice", source, starts=[start], ends=[end], axes=[axis])
    operands = [draft.constant([value]) for value in (start, end, axis, draft.chance.choice([1, 2, -1, -2]))]
    return draft.add("Slice", source, *operands)


def unlike_branches(draft: Draft) -> Any:
    """An If whose branches give other dims or ranks."""
    source = draft.pick(lambda value: value.ndim > 0)
    forms = [("Identity", {}), ("Transpose", {}), ("Flatten", {"axis": 0}), ("Shape", {})]
    graphs = []
    for op, attributes in draft.chance.sample(forms, 2):
        names = [draft.name("b"), draft.name("b")]
        nodes = [helper.make_node(op, [source], names[:1], **attributes)]
        nodes.append(helper.make_node("Cast", names[:1], names[1:], to=1))
        graphs.append(helper.make_graph(nodes, op, [], [draft_info(names[1])]))
    size = draft.add("Gather", draft.add("Shape", source), draft.constant(0), axis=0)
    condition = draft.add("Equal", size, draft.constant(draft.chance.choice([1, 2])))
    name = draft.name()
    node = helper.make_node("If", [condition], [name], then_branch=graphs[0], else_branch=graphs[1])
    return control(draft, node, name, [condition, source])


def slope(draft: Draft) -> Any:
    source = draft.pick()
    shape = list(draft.values[source].shape)
    factors = draft.numbers.standard_normal([draft.chance.choice([1, size]) for size in shape])
    return draft.add("PRelu", source, draft.constant(factors, np.float32))


def transposed(draft: Draft) -> Any:
    source = draft.pick(lambda value: value.ndim == 3)
    channels = draft.values[source].shape[1]
    weights = draft.constant(draft.numbers.standard_normal((channels, 2, 2)), np.float32)
    stride = draft.chance.randint(1, 3)
    if stride == 1:
        raise Refused("padding of the output wants a stride")
    kind = draft.chance.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    padding = [draft.chance.randint(0, 1)]
    return draft.add("ConvTranspose", source, weights, strides=[stride], auto_pad=kind, output_padding=padding)


SHAPES = (pool, pool, cut, cut, unlike_branches, slope, transposed)
