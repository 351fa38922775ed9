"""Frames of a video file (PyAV) or of a folder of pictures (Pillow), one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.modules import Array
from verify.errors import MissingBackend, SurgeonError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Source:
    """An iterable of uint8 RGB frames [height, width, 3]; `count` is None when the container does not say."""

    frames: Iterator[Array]
    count: int | None
    rate: float

    def __iter__(self) -> Iterator[Array]:
        return self.frames


@contextmanager
def open_frames(path: Path) -> Iterator[Source]:
    """Open a video, a folder or a picture. SurgeonError where there is nothing to read, MissingBackend without PyAV."""
    if path.is_dir():
        files = picture_files(path)
        yield Source((read_picture(file) for file in files), len(files), 25.0)
    elif is_picture(path):
        yield Source(iter([read_picture(path)]), 1, 25.0)
    elif path.is_file():
        with _open_video(path) as source:
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
    """uint8 RGB [height, width, 3]."""
    with opened_picture(file) as picture:
        return np.asarray(picture.convert("RGB"))


def read_mask(file: Path) -> Array:
    """bool [height, width]: where the colour index is not 0 in a picture with a palette, else where it is bright."""
    with opened_picture(file) as picture:
        if picture.mode in ("P", "1"):
            return np.asarray(picture) > 0
        return np.asarray(picture.convert("L")) > 127


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
        raise SurgeonError(f"{file}: cannot be read as a picture: {error}") from error


@contextmanager
def _open_video(path: Path) -> Iterator[Source]:
    try:
        import av
    except ImportError as error:
        raise MissingBackend("reading a video needs PyAV; pip install av") from error
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise SurgeonError(f"{path}: cannot be read as a video: {error}") from error
    with container:
        if not container.streams.video:
            raise SurgeonError(f"{path}: no video stream in it")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or 25)
        yield Source(_decode(container, path), _count(stream, rate), rate)


def _decode(container: Any, path: Path) -> Iterator[Array]:
    import av

    try:
        for frame in container.decode(video=0):
            yield upright(frame.to_ndarray(format="rgb24"), int(getattr(frame, "rotation", 0) or 0))
    except av.FFmpegError as error:
        raise SurgeonError(f"{path}: the video ends with an error: {error}") from error


def upright(frame: Array, rotation: int) -> Array:
    """Turn a frame by the container's rotation, degrees counter-clockwise (telephones film sideways)."""
    return np.ascontiguousarray(np.rot90(frame, round(rotation / 90) % 4))


def _count(stream: Any, rate: float) -> int | None:
    if stream.frames:
        return int(stream.frames)
    return round(float(stream.duration * stream.time_base) * rate) if stream.duration else None
