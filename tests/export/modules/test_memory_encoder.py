"""The two meanings of the mask that the memory encoder takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from tests.export.modules.compare import both, inputs_of, same  # noqa: E402

Build = Callable[..., Any]


def test_masktracker_scales_twice(thin_model: Build) -> None:
    inputs = inputs_of("memory_encoder", objects=1)
    once, _ = both("memory_encoder", thin_model(), inputs)
    twice, wanted = both("memory_encoder", thin_model(), inputs, "masktracker")
    same(twice, wanted)
    assert not torch.allclose(once["maskmem_features"], twice["maskmem_features"])
