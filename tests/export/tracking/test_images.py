"""Pixels in and masks out, against stock SAM2 and torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from export.tracking.frames import open_frames
from export.tracking.images import bounding_box, preprocess, resize_antialias, resize_logits
from export.tracking.prompts import Prompt
from tests.export.toy_networks import frames

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


@pytest.mark.parametrize("size", [(9, 7), (30, 40), (16, 16), (1, 5)])
def test_masks_are_resized_as_torch_does(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    source = np.random.default_rng(1).normal(size=(16, 16)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(source)[None, None], size, mode="bilinear")[0, 0]
    np.testing.assert_allclose(resize_logits(source, *size), wanted, atol=2e-6)


def test_preprocessing_is_that_of_stock_sam2(tmp_path: Path) -> None:
    misc = pytest.importorskip("sam2.utils.misc")
    Image.fromarray(frames(1)[0]).save(tmp_path / "00000.jpg")
    wanted, height, width = misc.load_video_frames(str(tmp_path), 64, True, compute_device="cpu")
    with open_frames(tmp_path) as source:
        (frame,) = source
    assert (height, width) == frame.shape[:2]
    np.testing.assert_array_equal(preprocess(frame, 64), wanted.numpy())


@pytest.mark.parametrize("size", [(9, 7), (30, 40), (16, 16), (5, 64), (37, 11)])
def test_antialiased_resize_is_that_of_torch(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    source = np.random.default_rng(1).normal(size=(37, 53)).astype(np.float32)
    options = {"size": size, "mode": "bilinear", "antialias": True}
    wanted = torch.nn.functional.interpolate(torch.from_numpy(source)[None, None], **options)[0, 0]
    np.testing.assert_allclose(resize_antialias(source, *size), wanted, atol=2e-6)


def test_box_of_a_mask() -> None:
    mask = np.zeros((10, 12), bool)
    assert bounding_box(mask) is None
    mask[3:5, 4:9] = True
    assert bounding_box(mask) == (4, 3, 9, 5)
