"""Models that differ from a given one in a single place, so that a pattern is almost there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

NearMiss = tuple[str, onnx.ModelProto]

# Operators that take each other's place in one node.
ALIKE = (
    ("Add", "Sub", "Mul", "Div", "Pow", "Min"),
    ("Sqrt", "Exp", "Neg", "Erf", "Identity"),
    ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"),
    ("Softmax", "LogSoftmax"),
    ("Expand", "Reshape", "Tile"),
    ("MatMul", "Mul"),
    ("Greater", "Less"),
    ("Shape", "Size"),
)
# Attributes that change what an operator means.
ADDED: dict[str, dict[str, int | str]] = {
    "Shape": {"start": 1, "end": 1},
    "GatherND": {"batch_dims": 1},
    "ScatterND": {"reduction": "add"},
    "ReduceMean": {"keepdims": 0},
    "ReduceMax": {"keepdims": 0},
    "ReduceSum": {"keepdims": 0},
    "Softmax": {"axis": 0},
    "LogSoftmax": {"axis": 0},
    "Gather": {"axis": 1},
    "Reshape": {"allowzero": 1},
    "NonZero": {},
}


def near_misses(model: onnx.ModelProto) -> Iterator[NearMiss]:
    """Each model with what was changed in it; many are invalid, and most of the others have other values."""
    for make in (_wires, _operators, _attributes, _constants, _outputs, _readers, _dims, _domains):
        yield from make(model)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made


def _known(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """Types of what the nodes make."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {info.name: info for info in (*graph.value_info, *graph.output)}


def _wires(model: onnx.ModelProto) -> Iterator[NearMiss]:
    """One input reads another tensor of its type, or two inputs change places."""
    names = [value.name for value in (*model.graph.input, *model.graph.initializer)]
    kinds = {name: info.type.tensor_type.elem_type for name, info in _known(model).items()}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    kinds |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for place, node in enumerate(model.graph.node):
        for index, was in enumerate(node.input):
            for name in [*names, *(out for earlier in model.graph.node[:place] for out in earlier.output)]:
                if name != was and kinds.get(name) == kinds.get(was):
                    made = _copy(model)
                    made.graph.node[place].input[index] = name
                    yield f"{node.op_type} {place} reads {name} for {was}", made
        if len(node.input) > 1:
            made = _copy(model)
            made.graph.node[place].input[:2] = [node.input[1], node.input[0]]
            yield f"{node.op_type} {place} with its inputs swapped", made


def _operators(model: onnx.ModelProto) -> Iterator[NearMiss]:
    for place, node in enumerate(model.graph.node):
        for group in ALIKE:
            for other in group if node.op_type in group else ():
                if other != node.op_type:
                    made = _copy(model)
                    made.graph.node[place].op_type = other
                    yield f"{node.op_type} {place} is {other}", made


def _attributes(model: onnx.ModelProto) -> Iterator[NearMiss]:
    for place, node in enumerate(model.graph.node):
        for index, attribute in enumerate(node.attribute):
            values = list(attribute.ints)
            others: list[int | list[int]] = [values[::-1], values[1:], [*values, 0]] if values else []
            others += [
                [*values[:k], values[k] + step, *values[k + 1 :]] for k in range(len(values)) for step in (1, -1)
            ]
            if attribute.type == onnx.AttributeProto.INT:
                others += [1 - attribute.i] if attribute.name == "keepdims" else [attribute.i + 1, attribute.i - 1]
            for other in others:
                made = _copy(model)
                made.graph.node[place].attribute[index].CopyFrom(
                    helper.make_attribute(attribute.name, other, None, attribute.type)
                )
                yield f"{node.op_type} {place} has {attribute.name} {other}", made
            made = _copy(model)
            del made.graph.node[place].attribute[index]
            yield f"{node.op_type} {place} lacks {attribute.name}", made
        for name, value in ADDED.get(node.op_type, {}).items():
            if name not in [attribute.name for attribute in node.attribute]:
                made = _copy(model)
                made.graph.node[place].attribute.append(helper.make_attribute(name, value))
                yield f"{node.op_type} {place} has {name}", made


def _constants(model: onnx.ModelProto) -> Iterator[NearMiss]:
    """One number or all numbers are different, or the shape has more dims or is transposed."""
    read = {name for node in model.graph.node for name in node.input}
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.name not in read:
            continue
        value = numpy_helper.to_array(tensor)
        others = [value[None], value[None, None], np.stack([value, value]), value.T, value[..., None]]
        others += [value.reshape(-1)[:0], value.reshape(-1)[:1]]
        others += [value[..., :1, :], value[..., :1], value[:1]] if value.ndim > 1 else []
        steps = (1, -1) if value.dtype.kind in "iu" else (1, 0.01)
        for step in steps if value.dtype.kind != "b" else ():
            others.append((value + step).astype(value.dtype))
            for place in range(min(value.size, 6)):
                changed = value.copy()
                changed.reshape(-1)[place] += step
                others.append(changed)
        for other in others:
            made = _copy(model)
            made.graph.initializer[index].CopyFrom(
                numpy_helper.from_array(np.ascontiguousarray(other).reshape(other.shape), tensor.name)
            )
            yield f"{tensor.name} is {other.shape} {other.reshape(-1)[:6]}", made


def _outputs(model: onnx.ModelProto) -> Iterator[NearMiss]:
    outputs = {value.name for value in model.graph.output}
    for name, info in _known(model).items():
        if name not in outputs:
            made = _copy(model)
            made.graph.output.append(info)
            yield f"{name} is an output", made


def _readers(model: onnx.ModelProto) -> Iterator[NearMiss]:
    for name, info in _known(model).items():
        made = _copy(model)
        made.graph.node.append(helper.make_node("Identity", [name], [f"{name}_read"], name=f"{name}_reader"))
        made.graph.output.append(info)
        made.graph.output[-1].name = f"{name}_read"
        yield f"{name} is read once more", made


def _dims(model: onnx.ModelProto) -> Iterator[NearMiss]:
    for index, value in enumerate(model.graph.input):
        for axis in range(len(value.type.tensor_type.shape.dim)):
            made = _copy(model)
            made.graph.input[index].type.tensor_type.shape.dim[axis].dim_param = f"free{axis}"
            for output in made.graph.output:
                for dim in output.type.tensor_type.shape.dim:
                    dim.Clear()
            yield f"dim {axis} of {value.name} is free", made


def _domains(model: onnx.ModelProto) -> Iterator[NearMiss]:
    """A node is a function of its own with the name of the operator, which gives twice its values."""
    known = _known(model)
    for place, node in enumerate(model.graph.node):
        info = known.get(node.output[0])
        if info is None or info.type.tensor_type.elem_type == onnx.TensorProto.BOOL:
            continue
        made = _copy(model)
        inputs = [f"i{index}" for index in range(len(node.input))]
        inner = helper.make_node(node.op_type, inputs, ["t"])
        inner.attribute.extend(node.attribute)
        body = [inner, helper.make_node("Add", ["t", "t"], ["o"])]
        names = [attribute.name for attribute in node.attribute]
        imports = [helper.make_opsetid("", model.opset_import[0].version)]
        made.functions.append(helper.make_function("own", node.op_type, inputs, ["o"], body, imports, names))
        made.opset_import.append(helper.make_opsetid("own", 1))
        made.graph.node[place].domain = "own"
        yield f"{node.op_type} {place} is of another domain", made


def strangers(model: onnx.ModelProto) -> Iterator[tuple[str, list[onnx.ModelProto]]]:
    """One node is something else: of another domain, or an operator before or after all others in the alphabet."""
    for place, node in enumerate(model.graph.node):
        made = [_copy(model) for _ in range(3)]
        made[0].graph.node[place].domain = "own"
        made[0].opset_import.append(helper.make_opsetid("own", 1))
        made[1].graph.node[place].op_type = "A"
        made[2].graph.node[place].op_type = "Z"
        yield f"{node.op_type} {place}", made


def commuted(model: onnx.ModelProto) -> Iterator[NearMiss]:
    """The same sums and products, written the other way round."""
    for place, node in enumerate(model.graph.node):
        if node.op_type in ("Add", "Mul"):
            made = _copy(model)
            made.graph.node[place].input[:] = list(node.input)[::-1]
            yield f"{node.op_type} {place}", made


def side_by_side(models: list[onnx.ModelProto]) -> onnx.ModelProto:
    """All graphs in one, in this order, each with names of its own; what only some import counts for all."""
    made = _copy(models[-1])
    made.graph.Clear()
    made.graph.name = "all"
    for number, model in enumerate(models):
        part = _copy(model).graph
        for each in (*part.input, *part.output, *part.initializer, *part.node):
            each.name = f"p{number}_{each.name}"
        for node in part.node:
            node.input[:] = [f"p{number}_{name}" if name else "" for name in node.input]
            node.output[:] = [f"p{number}_{name}" if name else "" for name in node.output]
        made.graph.node.extend(part.node)
        made.graph.input.extend(part.input)
        made.graph.output.extend(part.output)
        made.graph.initializer.extend(part.initializer)
    if not any(entry.domain == "own" for entry in made.opset_import):
        made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def inside_a_branch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as the first branch of an If; the other gives zeros. Weights go into the branch with it."""
    made = _copy(model)
    branch, other = onnx.GraphProto(name="then"), onnx.GraphProto(name="else")
    branch.node.extend(model.graph.node)
    branch.initializer.extend(model.graph.initializer)
    branch.output.extend(model.graph.output)
    for value in model.graph.output:
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        zeros = numpy_helper.from_array(
            np.zeros(dims, helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        )
        other.node.append(helper.make_node("Constant", [], [f"{value.name}_zero"], value=zeros))
        other.output.add().CopyFrom(value)
        other.output[-1].name = f"{value.name}_zero"
    del made.graph.node[:], made.graph.initializer[:]
    for inner in branch.node:
        for index, name in enumerate(inner.output):
            inner.output[index] = f"{name}_in"
    makes = {name for inner in model.graph.node for name in inner.output}
    for inner in branch.node:
        for index, name in enumerate(inner.input):
            inner.input[index] = f"{name}_in" if name in makes else name
    for value in branch.output:
        value.name += "_in"
    made.graph.input.add().CopyFrom(helper.make_tensor_value_info("taken", onnx.TensorProto.BOOL, []))
    outputs = [value.name for value in model.graph.output]
    made.graph.node.append(helper.make_node("If", ["taken"], outputs, then_branch=branch, else_branch=other))
    return made
