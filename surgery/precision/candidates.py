"""Finds the nodes that may compute in half precision, in the units in which they are tried.

Left alone always: integers and shape arithmetic, inputs whose type ONNX or TensorRT fixes (Resize's scales, Range),
nodes that make or read another floating type, operators of unknown domains, and local functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import onnx

from verify.model.walk import domain_of, node_name, subgraphs
from verify.tensorrt.attention import find_attentions

FLOAT = onnx.TensorProto.FLOAT
HEAVY = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention"})
LIGHT = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Abs",
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Elu",
        "Selu",
        "Celu",
        "Gelu",
        "Erf",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Swish",
        "Mish",
        "Softplus",
        "Softsign",
        "Tanh",
        "Exp",
        "Log",
        "Sqrt",
        "Reciprocal",
        "Pow",
        "Clip",
        "Min",
        "Max",
        "Sum",
        "Mean",
        "Softmax",
        "LogSoftmax",
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "BatchNormalization",
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceL2",
        "ReduceSumSquare",
        "AveragePool",
        "GlobalAveragePool",
        "MaxPool",
        "GlobalMaxPool",
        "Resize",
        "Where",
        "Floor",
        "Ceil",
        "Round",
        "RotaryEmbedding",
        "LpNormalization",
        "CumSum",
    }
)
MOVES = frozenset(
    {
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Slice",
        "Gather",
        "GatherElements",
        "GatherND",
        "Concat",
        "Split",
        "Expand",
        "Tile",
        "Identity",
        "DepthToSpace",
        "SpaceToDepth",
        "Pad",
        "Dropout",
        "ScatterND",
        "ScatterElements",
    }
)
# Inputs that are no data: everything but these positions may be lowered.
DATA_INPUTS: Mapping[str, tuple[int, ...]] = {
    "Resize": (0,),
    "Dropout": (0,),
    "Pad": (0, 2),
    "GatherElements": (0,),
    "CumSum": (0,),
}
# Positions that hold sizes: what feeds them is shape arithmetic.
SHAPE_INPUTS: Mapping[str, tuple[int, ...]] = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "ConstantOfShape": (0,),
    "Slice": (1, 2, 3, 4),
    "Resize": (1, 2, 3),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Split": (1,),
    "TopK": (1,),
    "OneHot": (1,),
}

Key = tuple[str, int]


@dataclass
class Scope:
    """One graph of the model: the main graph or a branch.

    types   ONNX element type of every tensor seen from here, 0 where unknown
    sizes   names that shape arithmetic computes
    """

    path: str
    graph: onnx.GraphProto
    types: dict[str, int]
    sizes: set[str]


@dataclass(frozen=True)
class Unit:
    """Nodes that are lowered together. kind is "attention", "heavy" or "light"."""

    kind: str
    keys: tuple[Key, ...]
    name: str
    op: str = ""


@dataclass
class Candidates:
    """Scopes by path, units in graph order, and the nodes that only move data and follow their neighbours."""

    scopes: dict[str, Scope]
    units: list[Unit] = field(default_factory=list)
    moves: list[Key] = field(default_factory=list)

    def node(self, key: Key) -> onnx.NodeProto:
        """The node with this key."""
        return self.scopes[key[0]].graph.node[key[1]]


def candidates(model: onnx.ModelProto, skip: frozenset[str] = frozenset()) -> Candidates:
    """Units and moves of a model whose types were inferred; nodes named in `skip` are left out."""
    found = Candidates({scope.path: scope for scope in scopes(model.graph)})
    attention = _attention_units(model, found, skip)
    taken = {key for unit in attention for key in unit.keys}
    for scope in found.scopes.values():
        for index, node in enumerate(scope.graph.node):
            key = (scope.path, index)
            if key in taken or node_name(node) in skip or not lowerable(scope, node):
                continue
            if node.op_type in MOVES:
                found.moves.append(key)
                continue
            kind = "heavy" if node.op_type in HEAVY else "light"
            found.units.append(Unit(kind, (key,), node_name(node), node.op_type))
    found.units = sorted([*found.units, *attention], key=lambda unit: unit.keys[0])
    return found


def _attention_units(model: onnx.ModelProto, found: Candidates, skip: frozenset[str]) -> list[Unit]:
    units = []
    for attention in find_attentions(model):
        scope = found.scopes[attention.path]
        names = set(attention.nodes)
        keys = [(scope.path, i) for i, node in enumerate(scope.graph.node) if node_name(node) in names]
        nodes = [found.node(key) for key in keys]
        if len(keys) == len(names) and all(lowerable(scope, n) and node_name(n) not in skip for n in nodes):
            units.append(Unit("attention", tuple(keys), attention.nodes[len(names) // 2], "attention"))
    return units


def scopes(
    graph: onnx.GraphProto, path: str = "", known: Mapping[str, int] | None = None, outer: set[str] | None = None
) -> Iterator[Scope]:
    """The graph and each branch inside it, with the types of what each can see."""
    types = dict(known or {})
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    types.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    types.update({tensor.values.name: 0 for tensor in graph.sparse_initializer})
    sizes = (outer or set()) | _size_names(graph)
    yield Scope(path, graph, types, sizes)
    for node in graph.node:
        for attribute, inner in subgraphs(node):
            yield from scopes(inner, f"{path}{node_name(node)}/{attribute}/", types, sizes)


def _size_names(graph: onnx.GraphProto) -> set[str]:
    """Tensors that only sizes are computed from, walking back from the inputs that hold sizes."""
    makers = {name: node for node in graph.node for name in node.output}
    names: set[str] = set()
    todo = [
        node.input[position]
        for node in graph.node
        for position in SHAPE_INPUTS.get(node.op_type, ())
        if position < len(node.input) and node.input[position]
    ]
    while todo:
        name = todo.pop()
        if name in names:
            continue
        names.add(name)
        maker = makers.get(name)
        if maker is not None and maker.op_type not in ("Shape", "Size"):
            todo += [source for source in maker.input if source]
    return names


def data_inputs(scope: Scope, node: onnx.NodeProto) -> list[str]:
    """The float32 inputs of a node that are lowered with it."""
    allowed = DATA_INPUTS.get(node.op_type)
    return [
        name
        for position, name in enumerate(node.input)
        if name and (allowed is None or position in allowed) and scope.types.get(name) == FLOAT
    ]


def data_outputs(scope: Scope, node: onnx.NodeProto) -> list[str]:
    """The float32 outputs of a node."""
    return [name for name in node.output if name and scope.types.get(name) == FLOAT]


def lowerable(scope: Scope, node: onnx.NodeProto) -> bool:
    """Whether the operator exists in half precision, computes data, and every type around it is known."""
    return not obstacle(scope, node)


def obstacle(scope: Scope, node: onnx.NodeProto) -> str:
    """Why a node is never lowered, in words; "" where it may be."""
    if domain_of(node.domain):
        return f"is an operator of {node.domain}"
    if node.op_type not in HEAVY | LIGHT | MOVES:
        return f"{node.op_type} is not among the operators that are lowered"
    if any(name in scope.sizes for name in node.output):
        return "computes sizes"
    names = [name for name in (*node.input, *node.output) if name]
    unknown = next((name for name in names if not scope.types.get(name)), "")
    if unknown:
        return f"the type of '{unknown}' is not known"
    other = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
    mixed = next((name for name in names if scope.types[name] in other), "")
    if mixed:
        return f"'{mixed}' is of another floating type"
    if not data_outputs(scope, node):
        return "makes no float32 data"
    return "" if data_inputs(scope, node) else "reads no float32 data"
