"""Reference weights are the same bits everywhere, and keep activations of order one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from export.weights.reference import DEFAULT_SEED, fan_in, standard, values

PINNED = {
    (
        "memory_encoder.out_proj.weight",
        (64, 256, 1, 1),
    ): "0d50dbe3f78d82063b2ffbd400fabff98cb1a6615baeb599427424e0e879114c",
}


@pytest.mark.parametrize(("name", "shape"), PINNED)
def test_bits_are_pinned(name: str, shape: tuple[int, ...]) -> None:
    assert hashlib.sha256(values(name, shape).astype("<f4").tobytes()).hexdigest() == PINNED[name, shape]


def test_distribution() -> None:
    drawn = standard("x", 100_000)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.var() - 1) < 0.02
    assert np.abs(drawn).max() < 3.47


def test_names_and_seeds_draw_apart() -> None:
    a, b, c = standard("a", 1000), standard("b", 1000), standard("a", 1000, DEFAULT_SEED + 1)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.1
    assert np.array_equal(a[:10], standard("a", 10))


@pytest.mark.parametrize(
    ("name", "shape", "fan"),
    [
        ("image_encoder.trunk.patch_embed.proj.weight", (96, 3, 7, 7), 147),
        ("memory_encoder.fuser.layers.0.dwconv.weight", (256, 1, 7, 7), 49),
        ("sam_mask_decoder.output_upscaling.0.weight", (256, 64, 2, 2), 256),
        ("memory_attention.layers.0.linear1.weight", (2048, 256), 256),
    ],
)
def test_fan_in(name: str, shape: tuple[int, ...], fan: int) -> None:
    assert fan_in(name, shape) == fan
    drawn = values(name, shape)
    assert drawn.dtype == np.float32
    assert drawn.std() * math.sqrt(fan) == pytest.approx(1.2, rel=0.05)


def test_norms_are_near_identity() -> None:
    for name in ("image_encoder.trunk.blocks.0.norm1.weight", "memory_encoder.mask_downsampler.encoder.4.weight"):
        assert values(name, (256,)).mean() == pytest.approx(1.0, abs=0.05)


def test_activations_and_decisions(thin_model: Callable[..., Any]) -> None:
    """Nothing vanishes or explodes, the object is seen, and the mask has two sides."""
    from export.stock.cases import cases

    for case, outputs in cases(thin_model(), ["image_encoder", "mask_decoder", "memory_encoder"]):
        for name, value in outputs.items():
            if name not in ("mask_for_mem", "pred_mask", "occ_logit", "iou"):
                assert 0.05 < float(value.square().mean().sqrt()) < 10.0, (case, name)
        if case.module == "mask_decoder":
            assert float(outputs["occ_logit"].min()) > 1.0
            assert 0.02 < float((outputs["pred_mask"] > 0).float().mean()) < 0.98
