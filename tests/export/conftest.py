"""Stock SAM2 with a thin trunk, small images and reference weights: all branches, in a second or two."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.export import toy_networks

SIZE = 128
THIN = (
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,2,3,2]",
    "++model.image_encoder.trunk.global_att_blocks=[4]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=2",
)


@cache
def thin(version: str = "2.1", size: int = SIZE) -> Any:
    """A stock video predictor with 8 windowed or global blocks; shared, so tests must not change it."""
    pytest.importorskip("sam2")
    from sam2.build_sam import build_sam2_video_predictor

    from export.weights import reference
    from export.weights.sam2_model import VERSIONS

    overrides = [*THIN, f"++model.image_size={size}"]
    model = build_sam2_video_predictor(VERSIONS[version].format("t"), device="cpu", hydra_overrides_extra=overrides)
    reference.fill(model)
    return model


@pytest.fixture(scope="session")
def thin_model() -> Callable[..., Any]:
    return thin


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return toy_networks.write_clip(tmp_path / "clip")
