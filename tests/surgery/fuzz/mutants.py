"""Mutated models: protobuf bytes, types, names, circles, dangling inputs, absurd shapes, deep nesting."""

from __future__ import annotations

import random
from collections.abc import Callable

import onnx
from onnx import helper

from tests.surgery.passes.comparing import parse
from tests.surgery.passes.tables import CLEAN, models

SEEDS = [model.SerializeToString() for model in (*(model for _, model in models("cleanup")), parse(CLEAN, 17))]
OPERATORS = [
    "Relu",
    "Add",
    "Reshape",
    "Slice",
    "Concat",
    "If",
    "Loop",
    "Scan",
    "Gather",
    "Expand",
    "NoSuch",
    "Constant",
]
NUMBERS = [0, 1, -1, 2, 7, 2**31 - 1, 2**62, -(2**63), 10**6, -7]


def mutant(seed: int) -> bytes:
    """The bytes of one mutated model; the same for the same seed."""
    chance = random.Random(seed)
    data = chance.choice(SEEDS)
    if seed % 3 == 0:
        return _bytes(data, chance)
    proto = onnx.load_from_string(data)
    for _ in range(chance.randint(1, 3)):
        chance.choice(MUTATIONS)(proto, chance)
    return proto.SerializeToString()


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """Flipped, removed, repeated and cut bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(changed))
        kind = chance.randrange(4)
        if kind == 0:
            changed[place] = chance.randrange(256)
        elif kind == 1:
            del changed[place : place + chance.randint(1, 9)]
        elif kind == 2:
            changed[place:place] = changed[place : place + chance.randint(1, 9)]
        else:
            del changed[max(1, len(changed) - chance.randint(1, 40)) :]
        if not changed:
            break
    return bytes(changed)


def _node(proto: onnx.ModelProto, chance: random.Random) -> onnx.NodeProto:
    nodes = list(proto.graph.node)
    nodes += [inner for node in nodes for attribute in node.attribute for inner in attribute.g.node]
    return chance.choice(nodes) if nodes else proto.graph.node.add(op_type="Relu")


def _name(proto: onnx.ModelProto, chance: random.Random) -> str:
    names = [name for node in proto.graph.node for name in (*node.input, *node.output)]
    return chance.choice([*names, "", "dangling", "\udcff".encode("utf-8", "replace").decode()])


def _rewire(proto: onnx.ModelProto, chance: random.Random) -> None:
    node = _node(proto, chance)
    side = chance.choice([node.input, node.output])
    if side:
        side[chance.randrange(len(side))] = _name(proto, chance)
    else:
        side.append(_name(proto, chance))


def _drop(proto: onnx.ModelProto, chance: random.Random) -> None:
    node = _node(proto, chance)
    side = chance.choice([node.input, node.output])
    if side:
        del side[chance.randrange(len(side))]


def _operator(proto: onnx.ModelProto, chance: random.Random) -> None:
    _node(proto, chance).op_type = chance.choice(OPERATORS)


def _type(proto: onnx.ModelProto, chance: random.Random) -> None:
    info = chance.choice([*proto.graph.input, *proto.graph.output])
    info.type.tensor_type.elem_type = chance.randrange(30)


def _dims(proto: onnx.ModelProto, chance: random.Random) -> None:
    info = chance.choice([*proto.graph.input, *proto.graph.output])
    shape = info.type.tensor_type.shape
    for _ in range(chance.randint(1, 3)):
        shape.dim.add().dim_value = chance.choice(NUMBERS)


def _initializer(proto: onnx.ModelProto, chance: random.Random) -> None:
    if not proto.graph.initializer:
        return
    tensor = chance.choice(proto.graph.initializer)
    kind = chance.randrange(4)
    if kind == 0:
        tensor.data_type = chance.randrange(30)
    elif kind == 1:
        tensor.dims.append(chance.choice(NUMBERS))
    elif kind == 2:
        tensor.raw_data = bytes(chance.randrange(256) for _ in range(chance.randrange(20)))
    else:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=chance.choice(["../x", "/etc/passwd", "none", ""]))


def _values(proto: onnx.ModelProto, chance: random.Random) -> None:
    for tensor in proto.graph.initializer:
        if tensor.int64_data:
            tensor.int64_data[chance.randrange(len(tensor.int64_data))] = chance.choice(NUMBERS)


def _attribute(proto: onnx.ModelProto, chance: random.Random) -> None:
    node = _node(proto, chance)
    name = chance.choice(["axis", "perm", "to", "value", "body", "start", "axes"])
    value = chance.choice([1, -9, 2.5, "text", [1, 2, 3], [2**40], [0.5]])
    node.attribute.append(helper.make_attribute(name, value))


def _nest(proto: onnx.ModelProto, chance: random.Random) -> None:
    """Ifs inside each other, each branch twice the one inside it."""
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["deep"])], "deep", [], [onnx.ValueInfoProto(name="deep")]
    )
    for level in range(chance.randint(2, 6)):
        name = f"deep{level}"
        node = helper.make_node("If", [_name(proto, chance)], [name], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], name, [], [onnx.ValueInfoProto(name=name)])
    proto.graph.node.add().CopyFrom(inner.node[0])


def _repeat(proto: onnx.ModelProto, chance: random.Random) -> None:
    proto.graph.node.add().CopyFrom(_node(proto, chance))


def _opset(proto: onnx.ModelProto, chance: random.Random) -> None:
    for entry in proto.opset_import:
        entry.version = chance.choice([1, 6, 9, 11, 13, 18, 26, 99, 0])
    if chance.random() < 0.2:
        del proto.opset_import[:]


MUTATIONS: list[Callable[[onnx.ModelProto, random.Random], None]] = [
    _rewire, _rewire, _drop, _operator, _type, _dims, _initializer, _values, _attribute, _nest, _repeat, _opset,
]  # fmt: skip
