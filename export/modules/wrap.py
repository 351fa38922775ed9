# mypy: disable-error-code="no-any-return, no-untyped-call"
# (calls of torch modules and some tensor methods are untyped)
"""The modules as torch modules with the inputs and outputs of the spec, over one stock SAM2 model."""

from __future__ import annotations

from typing import Any

from torch import nn

from export.modules.image_encoder import ImageEncoder
from export.modules.mask_decoder import MaskDecoder
from export.modules.mask_decoder_prompts import MaskDecoderWithPrompts
from export.modules.memory_attention import Form, MemoryAttention
from export.modules.memory_encoder import MemoryEncoder
from surgery.targets import TARGETS
from verify.errors import SurgeonError


def wrap(
    name: str, model: Any, semantics: str = "sam2", target: str = "tensorrt", precision: str = "fp32"
) -> nn.Module:
    """The wrapper of module `name` over a stock `SAM2Base`, in eval mode and without gradients.

    The wrapper shares parameters with `model`. `target` decides whether the trunk's table of positions is stored whole
    (onnxruntime) or as two factors (TensorRT: less memory). For TensorRT the mask decoder's attention has the form that
    is fused where `precision` is to be below "fp32"; so has the memory attention, and for full TensorRT always.
    """
    if target not in TARGETS:
        raise SurgeonError(f"target {target!r} is not known; choose {', '.join(TARGETS)}")
    tensorrt = target != "onnxruntime"
    fusable = tensorrt and precision != "fp32"
    makers = {
        "image_encoder": lambda: ImageEncoder(model, compact=tensorrt),
        "mask_decoder": lambda: MaskDecoder(model, semantics, fusable=fusable),
        "mask_decoder_prompts": lambda: MaskDecoderWithPrompts(model, semantics, fusable=fusable),
        "memory_attention": lambda: MemoryAttention(model, _form(target, precision)),
        "memory_encoder": lambda: MemoryEncoder(model, semantics),
    }
    if name not in makers:
        raise SurgeonError(f"{name!r} is no SAM2 module; choose {', '.join(makers)}")
    return makers[name]().eval().requires_grad_(False)


def _form(target: str, precision: str) -> Form:
    """Where the memory attention projects its values.

    TensorRT fuses it only below float32. TensorRT-RTX keeps the types of a file, so a float32 file gets the form with
    the least arithmetic; full TensorRT can lower a float32 file itself, as DeepStream's networkMode does.
    """
    if target == "onnxruntime":
        return "chunked"
    return "hoisted" if target == "tensorrt-rtx" and precision == "fp32" else "fusable"
