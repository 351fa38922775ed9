"""The memory attention against stock SAM2, in each of its forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.layers import attend  # noqa: E402
from export.modules.wrap import wrap  # noqa: E402
from tests.export.modules.compare import both, inputs_of, same  # noqa: E402

Build = Callable[..., Any]


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx", "onnxruntime"])
@pytest.mark.parametrize(("frames", "pointers", "objects"), [(1, 1, 1), (3, 16, 1), (7, 2, 3)])
def test_memory_sizes(thin_model: Build, target: str, frames: int, pointers: int, objects: int) -> None:
    inputs = inputs_of("memory_attention", frames=frames, pointers=pointers, objects=objects)
    same(*both("memory_attention", thin_model(), inputs, target=target))


def test_onnxruntime_form_takes_512_queries_at_a_time(thin_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map of 32x32 tokens: two chunks of 512 in each of the two layers."""
    rows = []

    def spy(query: Any, key: Any, value: Any) -> Any:
        rows.append(query.shape[-2])
        return attend(query, key, value)

    monkeypatch.setattr("export.modules.layers.attend", spy)
    model, inputs = thin_model(size=512), inputs_of("memory_attention", size=512, frames=2, pointers=3)
    same(*both("memory_attention", model, inputs, target="onnxruntime"))
    assert rows == [512] * 4
    rows.clear()
    both("memory_attention", model, inputs, target="tensorrt")
    assert not rows


def test_pointer_positions_replace_the_given_ones(thin_model: Build) -> None:
    """The rows of memory_pos_embed behind the spatial ones are computed in the graph, as MaskTracker expects."""
    inputs = inputs_of("memory_attention", frames=1, pointers=2)
    changed = {**inputs, "memory_pos_embed": inputs["memory_pos_embed"].clone()}
    changed["memory_pos_embed"][:, 64:] += 3.0
    module = wrap("memory_attention", thin_model())
    with torch.inference_mode():
        assert torch.equal(module(**inputs), module(**changed))
        other = module(**{**inputs, "cond_frame_id_diff": torch.tensor(9.0)})
    assert not torch.equal(module(**inputs), other)
