"""Operators for which onnxruntime does not give what ONNX defines, so that it cannot serve as the reference.

Whether a model is concerned is decided by what stands in it, before anything is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.model.walk import dims_of, every_node, walk_graphs, walk_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

MASKED_PRODUCT = "onnxruntime gives the lowest float where Attention defines minus infinity in its fourth output"
EMPTY_SUM = "onnxruntime leaves the result of an eight-bit product unwritten where it sums over no elements"
RUNNING_STATE = "onnxruntime changes the mean and variance that a BatchNormalization in training mode starts from"
LAST_ZERO_POINT = ("QLinearLeakyRelu", "QLinearSigmoid")  # onnxruntime reads their fifth input without looking
# Eight-bit products, with the place of each factor. onnxruntime 1.32 hands out memory that nothing was written to where
# the last dim of the first is 0.
EIGHT_BIT_PRODUCTS = {
    "DynamicQuantizeMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "QGemm": (0, 3),
    "QLinearMatMul": (0, 3),
}


def ends_process(model: onnx.ModelProto) -> str:
    """Why onnxruntime would end the process while it reads this model; "" where it would not."""
    from verify.model.infer import negative_size

    for each in every_node(model):
        if each.domain == "com.microsoft" and each.op_type in LAST_ZERO_POINT and len(each.input) < 5:
            return f"{each.op_type} without the zero point of its output"
    node = negative_size(model)
    return f"the output of '{node}' has a size below zero" if node else ""


def onnxruntime_fault(model: onnx.ModelProto) -> str:
    """Why onnxruntime gives wrong values for this model, a sentence; "" where no such fault is known.

    Known of onnxruntime 1.32: the fourth output of Attention with `qk_matmul_output_mode` 2 (the scores after masking)
    holds the lowest float where the mask makes them minus infinity; an eight-bit product over no elements is not
    written; the new mean and variance of a BatchNormalization in training mode are written over the old ones, which
    may be constants, unless they are outputs of the model.
    """
    if any(_sums_nothing(model)):
        return EMPTY_SUM
    if _changes_state(model):
        return RUNNING_STATE
    for node in model.graph.node:
        if node.op_type == "Attention" and node.domain in ("", "ai.onnx") and len(node.output) > 3 and node.output[3]:
            mode = next((attribute.i for attribute in node.attribute if attribute.name == "qk_matmul_output_mode"), 0)
            if mode == 2:
                return MASKED_PRODUCT
    return ""


def _changes_state(model: onnx.ModelProto) -> bool:
    """Whether a node reads the new mean or variance of a BatchNormalization in training mode."""
    nodes = [node for node in walk_nodes(model.graph.node) if node.op_type == "BatchNormalization"]
    made = {
        name
        for node in nodes
        if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
        for name in node.output[1:]
        if name
    }
    return bool(made) and any(not made.isdisjoint(node.input) for node in walk_nodes(model.graph.node))


def _sums_nothing(model: onnx.ModelProto) -> Iterator[bool]:
    """Whether each eight-bit product has factors that are known to have no elements to sum over."""
    from verify.model.infer import infer_types

    if not any(node.op_type in EIGHT_BIT_PRODUCTS for node in walk_nodes(model.graph.node)):
        return
    inferred = infer_types(model, data_prop=False)
    for graph in walk_graphs(inferred.graph):
        known = {value.name: dims_of(value.type.tensor_type) for value in (*graph.value_info, *graph.input)}
        known |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        for node in graph.node:
            for place, axis in zip(EIGHT_BIT_PRODUCTS.get(node.op_type, ()), (-1, -2), strict=False):
                dims = known.get(node.input[place]) if place < len(node.input) else None
                yield dims is not None and len(dims) >= -axis and dims[axis] == 0
