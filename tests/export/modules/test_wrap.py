"""Every wrapper against stock SAM2, and which form each target gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.wrap import wrap  # noqa: E402
from tests.export.modules.compare import both, inputs_of, same  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402

Build = Callable[..., Any]
MODULES = ("image_encoder", "mask_decoder", "mask_decoder_prompts", "memory_attention", "memory_encoder")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("version", ["2.1", "2.0"])
@pytest.mark.parametrize("semantics", ["sam2", "masktracker"])
def test_equal_to_stock(thin_model: Build, name: str, version: str, semantics: str) -> None:
    same(*both(name, thin_model(version), inputs_of(name), semantics))


@pytest.mark.parametrize(
    ("target", "precision", "hoisted"),
    [
        ("tensorrt-rtx", "fp32", True),
        ("tensorrt-rtx", "mixed", False),
        ("tensorrt", "fp32", False),
        ("onnxruntime", "fp32", True),
    ],
)
def test_values_are_projected_first_where_that_can_be_fused(
    thin_model: Build, target: str, precision: str, hoisted: bool
) -> None:
    """DeepStream lowers a float32 file to half precision while full TensorRT builds it."""
    module: Any = wrap("memory_attention", thin_model(), "sam2", target, precision)
    assert {layer.cross_attention.hoist for layer in module.layers} == {hoisted}


def test_unknown_choices(thin_model: Build) -> None:
    for arguments, said in (
        (("head", "sam2", "tensorrt"), "choose image_encoder"),
        (("mask_decoder", "sam3", "tensorrt"), "choose sam2 or masktracker"),
        (("mask_decoder", "sam2", "tvm"), "choose tensorrt-rtx"),
    ):
        name, semantics, target = arguments
        with pytest.raises(SurgeonError, match=said):
            wrap(name, thin_model(), semantics, target)
