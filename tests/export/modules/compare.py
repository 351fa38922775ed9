"""Run a wrapper and stock SAM2 on the same inputs, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.wrap import wrap  # noqa: E402
from export.onnx_file.to_onnx import example_inputs  # noqa: E402
from export.stock.modules import run_stock  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

Build = Callable[..., Any]
MODULES = ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder")


def both(
    name: str, model: Any, inputs: dict[str, Any], semantics: str = "sam2", target: str = "tensorrt"
) -> tuple[Any, Any]:
    wanted = run_stock(name, model, inputs, semantics)
    with torch.inference_mode():
        got = wrap(name, model, semantics, target)(**inputs)
    got = got if isinstance(got, tuple) else (got,)
    return dict(zip(wanted, got, strict=True)), wanted


def same(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        assert got[name].shape == value.shape, name
        error = (got[name] - value).abs().max() / value.square().mean().sqrt()
        assert float(error) < 1e-4, (name, float(error))


def inputs_of(name: str, size: int = 128, **symbols: int) -> dict[str, Any]:
    return example_inputs(load_spec(image_size=size, batch="dynamic")[name], **symbols)


def decoder_inputs(labels: list[float]) -> dict[str, Any]:
    inputs = inputs_of("mask_decoder", objects=1, points=len(labels))
    inputs["point_labels"] = torch.tensor([labels])
    return inputs


def changed(model: Any, **parameters: Any) -> Any:
    """A context in which entries of the model's state dict have other values."""
    from contextlib import contextmanager

    @contextmanager
    def scope() -> Any:
        state = model.state_dict()
        before = {name: state[name].clone() for name in parameters}
        with torch.no_grad():
            for name, value in parameters.items():
                state[name].copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    state[name].copy_(value)

    return scope()
