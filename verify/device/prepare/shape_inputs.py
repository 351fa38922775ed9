"""Inputs that hold a shape; trtexec takes their values in its shape flags, not from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.model.walk import domain_of, fed_inputs

if TYPE_CHECKING:
    import onnx

# Operators whose inputs at these places decide the shape of an output.
SHAPE_PLACES = {
    "Reshape": (1,),
    "Expand": (1,),
    "ConstantOfShape": (0,),
    "Tile": (1,),
    "Range": (0, 1, 2),
    "Slice": (1, 2, 3, 4),
    "Resize": (3,),
    "TopK": (1,),
    "Pad": (1,),
    "OneHot": (1,),
    "Unsqueeze": (1,),
    "Squeeze": (1,),
    "Split": (1,),
}
# Operators through which numbers of a shape pass.
PASSES = {
    "Cast",
    "Identity",
    "Concat",
    "Gather",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Reshape",
    "Add",
    "Sub",
    "Mul",
    "Div",
}
PASSES |= {"Floor", "Ceil", "Min", "Max", "Mod", "Neg", "Where"}
INTEGERS = (6, 7)  # int32 and int64 of TensorProto


def shape_inputs(model: onnx.ModelProto) -> set[str]:
    """Names of the whole-number inputs of rank 0 or 1 from which the shape of a tensor is computed."""
    candidates = {
        value.name
        for value in fed_inputs(model.graph)
        if value.type.tensor_type.elem_type in INTEGERS and len(value.type.tensor_type.shape.dim) <= 1
    }
    wanted: set[str] = set()
    for node in reversed(model.graph.node):
        if domain_of(node.domain):
            continue
        places = SHAPE_PLACES.get(node.op_type, ())
        wanted |= {name for place, name in enumerate(node.input) if place in places and name}
        if node.op_type in PASSES and wanted & set(node.output):
            wanted |= {name for name in node.input if name}
    return candidates & wanted
