"""Small data sets from real pixels: patches of one photograph move over another, so every mask is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

HEIGHT, WIDTH = 90, 120
FRAMES = 9
STEP = 4  # SA-V annotates every fourth frame


def ellipse(top: float, left: float, height: float, width: float) -> np.ndarray:
    """bool [HEIGHT, WIDTH], by the box around it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((y - top) / height * 2 - 1) ** 2 + ((x - left) / width * 2 - 1) ** 2 <= 1


def scene(number: int, frame: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """A frame uint8 [HEIGHT, WIDTH, 3] and the masks of its two objects, of which the second lies in front."""
    data = pytest.importorskip("skimage.data")
    photo, patch = data.astronaut(), data.coffee()
    picture = photo[40 + 3 * number : 40 + 3 * number + HEIGHT, 150 : 150 + WIDTH].copy()
    first = ellipse(15 + frame, 10 + (4 + number) * frame % 50, 40, 35)
    second = ellipse(30, 80 - 5 * frame, 30 + number, 30)
    for mask, (row, column) in ((first, (100, 200)), (second, (150, 60))):
        picture[mask] = patch[row : row + HEIGHT, column : column + WIDTH][mask]
    return picture, {1: first & ~second, 2: second}


def write_davis(root: Path, videos: int = 2, frames: int = FRAMES) -> Path:
    """`videos` videos named 'crop-0' ... in the layout of DAVIS 2017."""
    from PIL import Image

    for number in range(videos):
        images, masks = (root / kind / "480p" / f"crop-{number}" for kind in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame in range(frames):
            picture, objects = scene(number, frame)
            Image.fromarray(picture).save(images / f"{frame:05d}.jpg", quality=95)
            indices = Image.fromarray(sum(mask * np.uint8(i) for i, mask in objects.items()).astype(np.uint8))
            indices = indices.convert("P")
            indices.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
            indices.save(masks / f"{frame:05d}.png")
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"crop-{number}\n" for number in range(videos)))
    return root


def write_sav(root: Path, videos: int = 1, frames: int = 4 * FRAMES) -> Path:
    """The same scenes in the layout of SA-V, with objects 000 and 001 annotated in every fourth frame."""
    from PIL import Image

    for number in range(videos):
        images = root / "JPEGImages_24fps" / f"sav_{number:06d}"
        images.mkdir(parents=True)
        for frame in range(frames):
            picture, objects = scene(number, frame // STEP)
            Image.fromarray(picture).save(images / f"{frame:05d}.jpg", quality=95)
            if frame % STEP:
                continue
            for object_id, mask in objects.items():
                folder = root / "Annotations_6fps" / f"sav_{number:06d}" / f"{object_id - 1:03d}"
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(folder / f"{frame:05d}.png")
    return root
