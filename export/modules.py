# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""The four modules as torch modules with the inputs and outputs of the spec, over one stock SAM2 model."""

from __future__ import annotations

from typing import Any

from torch import nn

from export.image_encoder import ImageEncoder
from export.mask_decoder import MaskDecoder
from export.memory_attention import MemoryAttention
from export.memory_encoder import MemoryEncoder
from verify.errors import SurgeonError

TARGETS = ("tensorrt-rtx", "tensorrt", "onnxruntime")


def wrap(
    name: str, model: Any, semantics: str = "sam2", target: str = "tensorrt", precision: str = "fp32"
) -> nn.Module:
    """The wrapper of module `name` over a stock `SAM2Base`, in eval mode and without gradients.

    The wrapper shares parameters with `model`. `target` decides where the memory attention projects its values:
    after the weighted sum for onnxruntime (least arithmetic), before it for TensorRT (fused attention); and whether
    the trunk's table of positions is stored whole (onnxruntime) or by its parts (TensorRT: less memory). For TensorRT
    the mask decoder's attention has the form that is fused where `precision` is to be below "fp32".
    """
    if target not in TARGETS:
        raise SurgeonError(f"target {target!r} is not known; choose {', '.join(TARGETS)}")
    tensorrt = target != "onnxruntime"
    makers = {
        "image_encoder": lambda: ImageEncoder(model, compact=tensorrt),
        "mask_decoder": lambda: MaskDecoder(model, semantics, fusable=tensorrt and precision != "fp32"),
        "memory_attention": lambda: MemoryAttention(model, hoist=not tensorrt),
        "memory_encoder": lambda: MemoryEncoder(model, semantics),
    }
    if name not in makers:
        raise SurgeonError(f"{name!r} is no SAM2 module; choose {', '.join(makers)}")
    return makers[name]().eval().requires_grad_(False)
