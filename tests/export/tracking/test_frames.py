"""Frames from folders: order, rotation, nothing to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from export.tracking.frames import open_frames, picture_files, read_mask, read_picture
from export.tracking.prompts import Prompt
from export.tracking.videos import upright
from verify.errors import SurgeonError

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


def test_frames_are_sorted_by_number(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", "100.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert [file.name for file in picture_files(tmp_path)] == ["9.jpg", "10.jpg", "100.jpg"]


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="no frames in it"), open_frames(tmp_path):
        pass
    with pytest.raises(SurgeonError, match="no such video"), open_frames(tmp_path / "x.mp4"):
        pass
    (tmp_path / "x.mp4").write_text("no video")
    pytest.importorskip("av")
    with pytest.raises(SurgeonError, match="cannot be read as a video"), open_frames(tmp_path / "x.mp4"):
        pass


def test_rotated_frames_are_turned_upright() -> None:
    frame = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * np.ones((1, 1, 3), np.uint8)
    assert upright(frame, 90)[:, :, 0].tolist() == [[2, 5], [1, 4], [0, 3]]
    assert upright(frame, 0) is not None


def test_pictures_of_16_bits_keep_their_brightness(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    picture = read_picture(tmp_path / "grey.png")
    assert (picture.dtype, picture.shape) == (np.uint8, (48, 64, 3))
    assert np.array_equal(picture[:, :, 1], (grey >> 8).astype(np.uint8))
    assert np.array_equal(read_mask(tmp_path / "grey.png"), grey >= 128 << 8)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_pictures_are_turned_as_exif_says(tmp_path: Path, orientation: int, turns: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "photo.png"), np.rot90(pixels, turns))
