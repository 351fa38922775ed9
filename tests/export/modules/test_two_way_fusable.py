"""The decoder in the form that TensorRT fuses, against stock SAM2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("sam2")
torch = pytest.importorskip("torch")

from export.modules.wrap import wrap  # noqa: E402
from export.onnx_file.to_onnx import example_inputs  # noqa: E402
from export.stock.modules import run_stock  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

Build = Callable[..., Any]


@pytest.mark.parametrize("semantics", ["sam2", "masktracker"])
def test_the_fusable_decoder_equals_stock(thin_model: Build, semantics: str) -> None:
    model = thin_model()
    inputs = example_inputs(load_spec(image_size=128, batch="dynamic")["mask_decoder"])
    wanted = run_stock("mask_decoder", model, inputs, semantics)
    with torch.inference_mode():
        got = wrap("mask_decoder", model, semantics, "tensorrt", "mixed")(**inputs)
    for value, (name, right) in zip(got, wanted.items(), strict=True):
        assert float((value - right).abs().max() / right.square().mean().sqrt()) < 1e-4, name
