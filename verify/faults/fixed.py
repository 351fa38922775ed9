"""Proofs that a fault changes no output of the model, whatever the inputs are."""

from __future__ import annotations

import onnx

from verify.faults.nodes import stored_tensors
from verify.model.infer import infer_types
from verify.model.walk import dims_of, initializer_names, reads

COUNTED = ("Concat", "Gather", "Softmax", "LogSoftmax", "Split", "ArgMax", "ArgMin", "LayerNormalization", "TopK")
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")


def fixed_tensors(model: onnx.ModelProto) -> set[str]:
    """Tensors of the main graph that are the same for all inputs: computed from constants and fixed dims alone."""
    graph = infer_types(model).graph
    dims = {v.name: dims_of(v.type.tensor_type) for v in (*graph.input, *graph.value_info, *graph.output)}
    fed = {value.name for value in graph.input}
    found = initializer_names(model.graph) - fed
    constants = stored_tensors(model)
    shapes: dict[str, list[int | str | None]] = {}
    for node in model.graph.node:
        known = dims.get(node.input[0]) if node.op_type in ("Shape", "Size") and node.input else None
        fixed_dims = known is not None and all(isinstance(dim, int) for dim in known)
        if node.op_type == "Shape" and known is not None and not node.attribute:
            shapes[node.output[0]] = known
        if (
            fixed_dims or _fixed_dim(node, shapes, constants) or all(name in found for name in reads(node))
        ) and node.op_type not in RANDOM:
            found.update(name for name in node.output if name)
    return found


def _fixed_dim(
    node: onnx.NodeProto, shapes: dict[str, list[int | str | None]], constants: dict[str, onnx.TensorProto]
) -> bool:
    """Whether a node takes a fixed dim out of a shape."""
    if node.op_type != "Gather" or node.input[0] not in shapes or node.input[1] not in constants:
        return False
    dims = shapes[node.input[0]]
    places = onnx.numpy_helper.to_array(constants[node.input[1]]).reshape(-1).tolist()
    return all(-len(dims) <= place < len(dims) and isinstance(dims[place], int) for place in places)


def same_axes(one: onnx.ModelProto, other: onnx.ModelProto) -> bool:
    """Whether only the numbers of axes differ: counted from the other end, or along an only axis."""
    graph = infer_types(one).graph
    ranks = {
        v.name: len(found)
        for v in (*graph.input, *graph.value_info, *graph.output)
        if (found := dims_of(v.type.tensor_type)) is not None
    }
    ranks |= {name: len(tensor.dims) for name, tensor in stored_tensors(one).items()}
    if list(one.graph.initializer) != list(other.graph.initializer) or len(one.graph.node) != len(other.graph.node):
        return False
    for before, after in zip(one.graph.node, other.graph.node, strict=True):
        if before == after:
            continue
        rank = ranks.get(before.input[0]) if before.op_type in COUNTED else None
        if rank is None or [*before.input, before.op_type] != [*after.input, after.op_type]:
            return False
        for left, right in zip(before.attribute, after.attribute, strict=True):
            if left != right and (left.name != "axis" or (left.i - right.i) % max(rank, 1)):
                return False
    return True


def first_changed(one: onnx.ModelProto, other: onnx.ModelProto) -> list[str]:
    """Outputs of the nodes of `one` that are not in `other` as they are, or that read another constant there."""
    before = {tensor.name: tensor for tensor in one.graph.initializer}
    constants = {t.name for t in other.graph.initializer if t.name in before and t != before[t.name]}
    known = {tuple(node.output): node for node in other.graph.node}
    return [
        name
        for node in one.graph.node
        if known.get(tuple(node.output)) != node or constants & set(reads(node))
        for name in node.output
        if name
    ]


def reaches_outputs(model: onnx.ModelProto, names: list[str]) -> bool:
    """Whether an output of the model depends on one of these tensors."""
    needed = {value.name for value in model.graph.output}
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(reads(node))
    return bool(needed & set(names))
