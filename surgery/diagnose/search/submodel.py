"""Parts of a model as models of their own: some nodes only, or all but some."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx

from surgery.diagnose.model_view import ModelView, Types
from surgery.targets.graph_facts import types_of
from verify.model.walk import reads, subgraphs

MAX_CONSTANT_ANCESTORS = 24


def part(view: ModelView, model: onnx.ModelProto, keep: Collection[int], guess: bool = False) -> onnx.ModelProto | None:
    """The nodes `keep` of `model` as a model: what they read from outside becomes its inputs.

    `model` has the nodes of `view` with its weights moved out. Where the type of such an input is not known the
    answer is None, or with `guess` the input takes the type of another one.
    """
    kept = sorted(keep)
    made = {name for index in kept for name in view.nodes[index].output if name}
    wanted = dict.fromkeys(name for index in kept for name in reads(view.nodes[index]) if name not in made)
    result = _shell(model)
    result.graph.node.extend(model.graph.node[index] for index in kept)
    result.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in wanted)
    constants = {tensor.name for tensor in result.graph.initializer}
    for name in wanted:
        if name not in constants:
            like = name if known(name, view.types) else _like(view, kept, name) if guess else None
            if like is None:
                return None
            result.graph.input.append(_value(name, {name: view.types[like]}))
    outputs = {value.name for value in model.graph.output}
    last = [
        name
        for name in dict.fromkeys(name for index in kept for name in view.nodes[index].output if name)
        if name in outputs or not view.readers.get(name) or any(i not in keep for i in view.readers[name])
    ]
    result.graph.output.extend(_value(name, view.types) for name in last)
    return result


def _like(view: ModelView, kept: Collection[int], name: str) -> str | None:
    """Another input, of known type, of the first of these nodes that reads `name`."""
    reader = next(view.nodes[index] for index in kept if name in reads(view.nodes[index]))
    return next((other for other in reader.input if known(other, view.types)), None)


def without(
    view: ModelView, model: onnx.ModelProto, removed: Collection[int]
) -> tuple[onnx.ModelProto, list[int], set[str]]:
    """`model` without the nodes `removed`, whose outputs become inputs where others read them.

    Returns the model, the indices of the nodes left in their order, and the new inputs whose type had to be guessed
    from a branch or input of the removed node. Nodes that read a tensor of unknown type are left out as well.
    """
    gone, types, guessed = _gone(view, removed)
    kept = [index for index in range(len(view.nodes)) if index not in gone]
    result = _shell(model)
    result.graph.node.extend(model.graph.node[index] for index in kept)
    wanted = {name for index in kept for name in reads(view.nodes[index])}
    result.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in wanted)
    given = {value.name for value in model.graph.input}
    result.graph.input.extend(value for value in model.graph.input if value.name in wanted)
    for index in sorted(gone):
        for name in view.nodes[index].output:
            if name in wanted and name not in given:
                result.graph.input.append(_value(name, types))
    made = {name for index in kept for name in view.nodes[index].output if name}
    result.graph.output.extend(value for value in model.graph.output if value.name in made)
    ends = [name for name in made if not any(i not in gone for i in view.readers.get(name, []))]
    have = {value.name for value in result.graph.output}
    result.graph.output.extend(_value(name, types) for name in sorted(ends) if name not in have and known(name, types))
    return result, kept, guessed & wanted


def _gone(view: ModelView, removed: Collection[int]) -> tuple[set[int], Types, set[str]]:
    """Removed nodes and those left without input types; the types after guessing; names of the guessed ones."""
    types: Types = dict(view.types)
    gone, lost, guessed = set(removed), set[str](), set[str]()
    for index, node in enumerate(view.nodes):
        if index not in gone and any(name in lost for name in reads(node)):
            gone.add(index)
            lost.update(node.output)
        elif index in gone:
            for name in node.output:
                if not name or known(name, types):
                    continue
                guess = _guess(node, name, types)
                if guess is None:
                    lost.add(name)
                else:
                    types[name] = guess
                    guessed.add(name)
    return gone, types, guessed


def _guess(node: onnx.NodeProto, name: str, types: Types) -> onnx.TypeProto | None:
    """A type for an output of a removed node: that of the first branch of an If, of the value that a Loop starts with,
    else of the node's first input.

    A known dtype is kept; only the shape is then guessed.
    """
    like = [types[source] for source in node.input if known(source, types)]
    position = list(node.output).index(name)
    if node.op_type == "If":
        branches = [(types_of(graph), graph.output) for _, graph in subgraphs(node)]
        ends = [(inner, outputs[position].name) for inner, outputs in branches if position < len(outputs)]
        like = [inner[end] for inner, end in ends if known(end, inner)]
    elif node.op_type == "Loop" and position < len(node.input) - 2:
        like = [types[source] for source in node.input[position + 2 : position + 3] if known(source, types)]
    if not like:
        return None
    guess = onnx.TypeProto()
    guess.CopyFrom(like[0])
    dtype = types[name].tensor_type.elem_type if name in types else 0
    guess.tensor_type.elem_type = dtype or guess.tensor_type.elem_type
    if node.op_type == "Loop":  # the size of a value that grows is not that of the first one
        for dim in guess.tensor_type.shape.dim:
            dim.Clear()
    return guess


def reads_guessed_type(view: ModelView, index: int, guessed: Collection[str], removed: Collection[int]) -> bool:
    """Whether the node depends on a tensor whose type was guessed when its maker, one of `removed`, was removed."""
    seen, todo = {index}, [index]
    while todo:
        for name in reads(view.nodes[todo.pop()]):
            if name in guessed:
                return True
            maker = view.made_by.get(name)
            if maker is not None and maker not in seen and maker not in removed:
                seen.add(maker)
                todo.append(maker)
    return False


def with_constant_ancestors(view: ModelView, index: int) -> set[int]:
    """The node and those before it that no graph input reaches: TensorRT folds them into constants."""
    kept, todo = {index}, [index]
    while todo and len(kept) < MAX_CONSTANT_ANCESTORS:
        for name in reads(view.nodes[todo.pop()]):
            maker = view.made_by.get(name)
            if maker is not None and maker not in kept and name in _constant_tensors(view):
                kept.add(maker)
                todo.append(maker)
    return kept


def alone(view: ModelView, model: onnx.ModelProto, index: int) -> onnx.ModelProto | None:
    """The node and the constants that it reads as a model; None where a type is unknown or a constant is far away."""
    kept = with_constant_ancestors(view, index)
    outside = {name for node in kept for name in reads(view.nodes[node])} - set(view.initializers)
    outside -= {name for node in kept for name in view.nodes[node].output}
    return None if outside & _constant_tensors(view) else part(view, model, kept)


def known(name: str, types: Types) -> bool:
    """Whether dtype and rank of a tensor are known."""
    kind = types.get(name)
    return kind is not None and kind.tensor_type.elem_type != 0 and kind.tensor_type.HasField("shape")


def _constant_tensors(view: ModelView) -> set[str]:
    """Tensors no graph input reaches."""
    cached: set[str] | None = view.__dict__.get("constant_tensors")
    if cached is None:
        cached = set(view.initializers)
        for node in view.nodes:
            if all(name in cached for name in reads(node)):
                cached.update(node.output)
        view.__dict__["constant_tensors"] = cached
    return cached


def _shell(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its graph's contents."""
    result = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    result.opset_import.extend(model.opset_import)
    result.functions.extend(model.functions)
    result.graph.name = model.graph.name or "part"
    return result


def _value(name: str, types: Types) -> onnx.ValueInfoProto:
    """A graph input or output; dims without a name get one, so that TensorRT does not take them for equal."""
    value = onnx.ValueInfoProto(name=name)
    if name in types:
        value.type.CopyFrom(types[name])
    if value.type.HasField("tensor_type"):
        _name_dims(value.type.tensor_type.shape.dim, name)
    return value


def _name_dims(dims: Iterable[onnx.TensorShapeProto.Dimension], name: str) -> None:
    for axis, dim in enumerate(dims):
        if not dim.HasField("dim_value") and not dim.dim_param:
            dim.dim_param = f"{name}_{axis}"
