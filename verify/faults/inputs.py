"""Faults that only some inputs show: each function changes a model in place and names the place, or returns ""."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import onnx
from onnx import TensorProto, helper

from verify.model.walk import fed_inputs

Nodes = Sequence[onnx.NodeProto]


def _at_input(make: Callable[[str, str], Nodes], batch: bool = False) -> Callable[..., str]:
    """A fault between a float input and all nodes of the main graph that read it."""

    def plant(model: onnx.ModelProto, pick: random.Random) -> str:
        graph = model.graph
        read = {name for node in graph.node for name in node.input}
        found = [
            value.name
            for value in fed_inputs(graph)
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
            and value.name in read
            and (not batch or _free_batch(value))
        ]
        if not found:
            return ""
        name = pick.choice(found)
        changed = f"{name}__changed"
        for node in graph.node:
            for place, source in enumerate(node.input):
                if source == name:
                    node.input[place] = changed
        nodes = [*make(name, changed), *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
        del graph.node[:]
        graph.node.extend(nodes)
        return f"input '{name}'"

    return plant


def _free_batch(value: onnx.ValueInfoProto) -> bool:
    dims = value.type.tensor_type.shape.dim
    return len(dims) > 0 and not dims[0].HasField("dim_value")


def _constant(name: str, value: float) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_float=value)


def _limited(operator: str, limit: float) -> Callable[[str, str], Nodes]:
    def make(old: str, new: str) -> Nodes:
        return [_constant(f"{new}_limit", limit), helper.make_node(operator, [old, f"{new}_limit"], [new])]

    return make


def _replaced_zero(old: str, new: str) -> Nodes:
    return [
        _constant(f"{new}_zero", 0.0),
        _constant(f"{new}_half", 0.5),
        helper.make_node("Equal", [old, f"{new}_zero"], [f"{new}_where"]),
        helper.make_node("Where", [f"{new}_where", f"{new}_half", old], [new]),
    ]


def _for_batches_above_one(old: str, new: str) -> Nodes:
    """Twice the value where the batch is not 1."""
    return [
        helper.make_node("Shape", [old], [f"{new}_shape"]),
        helper.make_node("Constant", [], [f"{new}_first"], value_int=0),
        helper.make_node("Constant", [], [f"{new}_one"], value_int=1),
        _constant(f"{new}_same", 1.0),
        _constant(f"{new}_twice", 2.0),
        helper.make_node("Gather", [f"{new}_shape", f"{new}_first"], [f"{new}_batch"]),
        helper.make_node("Equal", [f"{new}_batch", f"{new}_one"], [f"{new}_single"]),
        helper.make_node("Where", [f"{new}_single", f"{new}_same", f"{new}_twice"], [f"{new}_factor"]),
        helper.make_node("Mul", [old, f"{new}_factor"], [new]),
    ]


KINDS: dict[str, Callable[[onnx.ModelProto, random.Random], str]] = {
    "an input limited to 4": _at_input(_limited("Min", 4.0)),
    "an input limited to values above zero": _at_input(_limited("Max", 0.0)),
    "zeros of an input taken as 0.5": _at_input(_replaced_zero),
    "an input doubled if the batch is not 1": _at_input(_for_batches_above_one, batch=True),
}
