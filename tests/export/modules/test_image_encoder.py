"""The image encoder against stock SAM2, at image sizes that leave windows incomplete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from export.modules.image_encoder import Windows  # noqa: E402
from export.modules.layers import attend  # noqa: E402
from tests.export.modules.compare import both, inputs_of, same  # noqa: E402

Build = Callable[..., Any]


@pytest.mark.parametrize("size", [64, 96, 160, 256])
def test_image_sizes(thin_model: Build, size: int) -> None:
    """96 and 160 leave windows of 14 that stick out of the map, before and after pooling."""
    same(*both("image_encoder", thin_model(size=size), inputs_of("image_encoder", size)))


def test_onnxruntime_form_attends_to_the_whole_map_for_512_queries_at_a_time(
    thin_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """384 pixels have 576 tokens where a block attends to the whole map: a chunk of 512 and one of 64."""
    rows = []

    def spy(query: Any, key: Any, value: Any) -> Any:
        rows.append((query.shape[-2], key.shape[-2]))
        return attend(query, key, value)

    monkeypatch.setattr("export.modules.layers.attend", spy)
    model, inputs = thin_model(size=384), inputs_of("image_encoder", 384)
    same(*both("image_encoder", model, inputs, target="onnxruntime"))
    assert [row for row in rows if row[1] == 576] == [(512, 576), (64, 576)]
    rows.clear()
    both("image_encoder", model, inputs, target="tensorrt")
    assert not rows


@pytest.mark.parametrize(("size", "window"), [(8, 4), (6, 4), (5, 0), (16, 14)])
def test_windows_split_and_join(size: int, window: int) -> None:
    windows = Windows(size, window)
    x = torch.randn(size * size, 12)
    (parts,) = windows.split(windows.pad(x), 1, 3)
    assert parts.shape == (windows.count**2 * 3, windows.window**2, 4)
    assert torch.equal(windows.join(parts, 3), x)
