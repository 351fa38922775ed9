"""Frames of a folder of pictures (Pillow) or of a video (export/tracking/videos.py), one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.modules import Array
from export.tracking.source import Source
from export.tracking.videos import RATE, is_address, open_video
from verify.errors import MissingBackend, SurgeonError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@contextmanager
def open_frames(place: Path | str) -> Iterator[Source]:
    """Open a video, a folder, a picture, an address, a camera ("0", /dev/video0) or standard input ("-").

    SurgeonError where there is nothing to read, MissingBackend without PyAV.
    """
    path = Path(place)
    if is_address(str(place)):
        with open_video(str(place)) as source:
            yield source
    elif path.is_dir():
        files = picture_files(path)
        yield Source(((index / RATE, read_picture(file)) for index, file in enumerate(files)), len(files), RATE)
    elif is_picture(path):
        yield Source(iter([(0.0, read_picture(path))]), 1, RATE)
    elif path.is_file():
        with open_video(str(path)) as source:
            yield source
    else:
        raise SurgeonError(f"{path}: no such video, folder of frames or picture")


def is_picture(path: Path) -> bool:
    """Whether `path` is a file that is read as one picture."""
    return path.is_file() and path.suffix.lower() in PICTURES


def picture_files(folder: Path) -> list[Path]:
    """Pictures of a folder in the order of the numbers in their names (as stock SAM2 sorts 00000.jpg ...)."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in PICTURES]
    if not files:
        raise SurgeonError(f"{folder}: no frames in it; expected {', '.join(sorted(PICTURES))} files")
    return sorted(files, key=lambda file: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", file.stem)])


def read_picture(file: Path) -> Array:
    """uint8 RGB [height, width, 3], turned upright as its EXIF data says; of 16 bits the upper eight."""
    from PIL import ImageOps

    with opened_picture(file) as picture:
        turned = ImageOps.exif_transpose(picture)
        if turned.mode.startswith("I"):
            return np.repeat(_upper_byte(turned)[:, :, None], 3, axis=2)
        return np.asarray(turned.convert("RGB"))


def read_mask(file: Path) -> Array:
    """bool [height, width]: where the colour index is not 0 in a picture with a palette, else where it is bright."""
    with opened_picture(file) as picture:
        if picture.mode in ("P", "1"):
            return np.asarray(picture) > 0
        if picture.mode.startswith("I"):
            return _upper_byte(picture) > 127
        return np.asarray(picture.convert("L")) > 127


def _upper_byte(picture: Any) -> Array:
    """uint8 [height, width] of a grey picture of 16 bits, which Pillow would cut off at 255."""
    return (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)


@contextmanager
def opened_picture(file: Path) -> Iterator[Any]:
    """The picture of Pillow; SurgeonError where it cannot be read, MissingBackend without Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingBackend("reading frames needs Pillow; pip install pillow") from error
    try:
        with Image.open(file) as picture:
            yield picture
    except OSError as error:
        raise SurgeonError(f"{file}: cannot be read as a picture: {error.strerror or error}") from error
