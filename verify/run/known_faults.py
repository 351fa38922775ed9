"""Operators for which onnxruntime does not give what ONNX defines, so that it cannot serve as the reference.

Whether a model is concerned is decided by what stands in it, before anything is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

MASKED_PRODUCT = "onnxruntime gives the lowest float where Attention defines minus infinity in its fourth output"


def ends_process(model: onnx.ModelProto) -> str:
    """Why onnxruntime would end the process while it reads this model; "" where it would not."""
    from verify.model.infer import negative_size

    node = negative_size(model)
    return f"the output of '{node}' has a size below zero" if node else ""


def onnxruntime_fault(model: onnx.ModelProto) -> str:
    """Why onnxruntime gives wrong values for this model, a sentence; "" where no such fault is known.

    Known of onnxruntime 1.32: the fourth output of Attention with `qk_matmul_output_mode` 2 (the scores after masking)
    holds the lowest float where the mask makes them minus infinity.
    """
    for node in model.graph.node:
        if node.op_type == "Attention" and node.domain in ("", "ai.onnx") and len(node.output) > 3 and node.output[3]:
            mode = next((attribute.i for attribute in node.attribute if attribute.name == "qk_matmul_output_mode"), 0)
            if mode == 2:
                return MASKED_PRODUCT
    return ""
