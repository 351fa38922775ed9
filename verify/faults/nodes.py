"""Faults in nodes: each function changes a model in place and names the place; "" if it has none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from verify.model.walk import node_name, walk_graphs, walk_nodes

# Operators that take the same inputs and give outputs of the same type and shape.
LIKE: tuple[tuple[str, ...], ...] = (
    ("Relu", "Tanh", "Sigmoid", "Softplus"),
    ("Add", "Sub"),
    ("Mul", "Div"),
    ("Min", "Max"),
    ("ReduceMean", "ReduceMax", "ReduceMin"),
    ("ReduceSum", "ReduceMean"),
    ("Floor", "Ceil"),
    ("And", "Or"),
    ("Exp", "Sqrt"),
    ("Sin", "Cos"),
    ("Erf", "Tanh"),
    ("GlobalAveragePool", "GlobalMaxPool"),
    ("Softmax", "LogSoftmax"),
)
ORDERED = ("Sub", "Div", "Pow", "Mod", "MatMul", "Concat", "Less", "Greater", "Where", "LessOrEqual", "GreaterOrEqual")
NUMBERS = {"alpha": 1.1, "beta": 1.1, "gamma": 1.1, "epsilon": 1e4, "cubic_coeff_a": 0.8, "lambd": 1.1, "scale": 1.1}
TEXTS = {
    "mode": ("nearest", "linear", "cubic", "constant", "reflect", "edge", "DCR", "CRD", "bilinear"),
    "coordinate_transformation_mode": ("half_pixel", "align_corners", "asymmetric"),
    "padding_mode": ("zeros", "border", "reflection"),
    "approximate": ("none", "tanh"),
    "direction": ("forward", "reverse", "LEFT", "RIGHT"),
    "reduction": ("none", "add", "max"),
}
WHOLE = (
    "axis", "transA", "transB", "keepdims", "align_corners", "largest", "exclusive", "reverse", "blocksize",
    "linear_before_reset", "is_causal", "detect_positive", "right", "upper", "batch_dims", "num_groups",
)  # fmt: skip
LISTS = ("pads", "strides", "dilations", "axes", "kernel_shape", "output_padding")
# Elementwise operators that a node of their shape can be replaced by nothing.
LEFT_OUT = (
    "Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip", "HardSwish", "Gelu", "Neg", "Abs", "Softmax", "LayerNormalization",
    "RMSNormalization", "Floor", "Round",
)  # fmt: skip
NOT_NEGATIVE = ("Relu", "Sigmoid", "Softmax", "Exp", "Abs", "Sqrt", "HardSigmoid", "Softplus", "ReduceL2", "Shape")
MOVES = ("Identity", "Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Flatten", "MaxPool", "AveragePool")
BIASED = ("Conv", "Gemm", "ConvTranspose", "LayerNormalization")


def _choose(
    model: onnx.ModelProto, pick: random.Random, wanted: Callable[[onnx.NodeProto], bool]
) -> onnx.NodeProto | None:
    found = [node for node in walk_nodes(model.graph.node) if node.output and wanted(node)]
    return pick.choice(found) if found else None


def stored_tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Initializers and tensors of Constant nodes by name, in all graphs."""
    found = {t.name: t for graph in walk_graphs(model.graph) for t in graph.initializer}
    for node in walk_nodes(model.graph.node):
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            found[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _all_equal(tensor: onnx.TensorProto | None, value: float) -> bool:
    """Whether a stored tensor holds this value only; false where the values are not loaded."""
    if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return False
    return bool((onnx.numpy_helper.to_array(tensor) == value).all())


def other_operator(model: onnx.ModelProto, pick: random.Random) -> str:
    """A node with another operator that takes the same inputs."""
    constants = stored_tensors(model)

    def shows(node: onnx.NodeProto) -> bool:
        neutral = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}.get(node.op_type)
        if node.domain or not any(node.op_type in group for group in LIKE):
            return False
        return neutral is None or not _all_equal(constants.get(node.input[-1]), neutral)

    node = _choose(model, pick, shows)
    if node is None:
        return ""
    old = node.op_type
    node.op_type = pick.choice([op for group in LIKE if old in group for op in group if op != old])
    return f"{old} '{node_name(node)}' is {node.op_type}"


def inputs_swapped(model: onnx.ModelProto, pick: random.Random) -> str:
    """Two inputs of a node swapped, where their order matters."""
    node = _choose(model, pick, lambda node: node.op_type in ORDERED and len(set(node.input)) > 1)
    if node is None:
        return ""
    first = 1 if node.op_type == "Where" else pick.randrange(len(node.input) - 1)
    if first + 1 >= len(node.input) or node.input[first] == node.input[first + 1]:
        return ""
    node.input[first], node.input[first + 1] = node.input[first + 1], node.input[first]
    return f"{node.op_type} '{node_name(node)}'"


def axes_swapped(model: onnx.ModelProto, pick: random.Random) -> str:
    """Two axes of a Transpose swapped."""
    node = _choose(
        model, pick, lambda node: node.op_type == "Transpose" and any(len(a.ints) > 1 for a in node.attribute)
    )
    if node is None:
        return ""
    axes = next(attribute.ints for attribute in node.attribute if len(attribute.ints) > 1)
    first, second = pick.sample(range(len(axes)), 2)
    axes[first], axes[second] = axes[second], axes[first]
    return f"Transpose '{node_name(node)}'"


def attribute_changed(model: onnx.ModelProto, pick: random.Random) -> str:
    """An attribute with another value."""
    known = (*NUMBERS, *TEXTS, *WHOLE, *LISTS)
    node = _choose(model, pick, lambda node: any(attribute.name in known for attribute in node.attribute))
    if node is None:
        return ""
    attribute = pick.choice([attribute for attribute in node.attribute if attribute.name in known])
    if attribute.name == "dilations" and _kernel_of_one(node, model):
        return ""
    return f"{attribute.name} of {node.op_type} '{node_name(node)}'" if _change(attribute, pick) else ""


def _kernel_of_one(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a dim of the kernel is 1, where dilations change nothing."""
    weight = stored_tensors(model).get(node.input[1]) if len(node.input) > 1 else None
    return weight is not None and 1 in weight.dims[2:]


def _change(attribute: onnx.AttributeProto, pick: random.Random) -> bool:
    """Change the attribute in place; false where there is no other value for it."""
    name, value = attribute.name, helper.get_attribute_value(attribute)
    new: object
    if isinstance(value, float) and name in NUMBERS:
        new = value * NUMBERS[name] or 0.1
    elif isinstance(value, bytes) and name in TEXTS:
        others = [text for text in TEXTS[name] if text != value.decode()]
        new = pick.choice(others)
    elif isinstance(value, int) and name in WHOLE:
        new = value + pick.choice((-1, 1)) if name in ("axis", "blocksize", "batch_dims", "num_groups") else 1 - value
    elif isinstance(value, Sequence) and len(value) and name in LISTS:
        numbers = [int(number) for number in value]
        place = pick.randrange(len(numbers))
        numbers[place] += 1 if name != "pads" or numbers[place] == 0 else -1
        new = numbers
    else:
        return False
    attribute.CopyFrom(helper.make_attribute(name, new))
    return True


def left_out(model: onnx.ModelProto, pick: random.Random) -> str:
    """A node with one main input, which the fault passes on unchanged."""
    positive = _never_negative(model)

    def shows(node: onnx.NodeProto) -> bool:
        return node.op_type not in ("Relu", "LeakyRelu", "Abs") or node.input[0] not in positive

    node = _choose(
        model, pick, lambda node: node.op_type in LEFT_OUT and not node.domain and len(node.output) == 1 and shows(node)
    )
    if node is None:
        return ""
    place = f"{node.op_type} '{node_name(node)}'"
    node.op_type = "Identity"
    del node.input[1:], node.attribute[:]
    return place


def _never_negative(model: onnx.ModelProto) -> set[str]:
    """Tensors that hold no negative number by the operators that make them."""
    found: set[str] = set()
    for node in walk_nodes(model.graph.node):
        if node.op_type in NOT_NEGATIVE or (node.op_type in MOVES and node.input and node.input[0] in found):
            found.update(node.output)
    return found


def bias_left_out(model: onnx.ModelProto, pick: random.Random) -> str:
    """A node without its bias."""
    constants = stored_tensors(model)
    node = _choose(
        model,
        pick,
        lambda node: (
            node.op_type in BIASED
            and len(node.input) > 2
            and bool(node.input[2])
            and not _all_equal(constants.get(node.input[2]), 0.0)
        ),
    )
    if node is None:
        return ""
    del node.input[2:]
    return f"{node.op_type} '{node_name(node)}'"


KINDS: dict[str, Callable[[onnx.ModelProto, random.Random], str]] = {
    "another operator": other_operator,
    "two inputs of a node swapped": inputs_swapped,
    "two axes of a Transpose swapped": axes_swapped,
    "an attribute with another value": attribute_changed,
    "a node left out": left_out,
    "a bias left out": bias_left_out,
}
