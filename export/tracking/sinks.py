"""Write results: each sink takes one frame after another, and its file is readable whenever it is closed."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.modules import Array
from export.tracking.overlay import draw
from export.tracking.tracker import Result
from verify.errors import MissingBackend, SurgeonError

# add(frame number, its time in seconds, uint8 RGB [height, width, 3], {object id: Result})
Sink = Callable[[int, float, Array, Mapping[int, Result]], None]

VIDEOS = {".mp4", ".mkv", ".mov", ".webm", ".avi"}
CONSTANT_RATE = {".avi"}  # containers that store no times of frames
TIME_BASE = Fraction(1, 60000)  # seconds; a denominator that every codec takes, and a multiple of the usual rates
COLUMNS = ("frame", "object", "x0", "y0", "x1", "y1", "area", "score", "iou", "seconds")


def check_file(path: Path) -> None:
    """SurgeonError unless a file can be written to `path`, with the folders that it needs."""
    if path.is_dir():
        raise SurgeonError(f"{path}: cannot be written: it is a folder; name a file in it")
    _check_parent(path)


def check_folder(path: Path) -> None:
    """SurgeonError unless `path` is a folder to write files to, or can be made."""
    if path.exists() and not path.is_dir():
        raise SurgeonError(f"{path}: cannot be written to: it is a file; name a folder")
    _check_parent(path / "file")


def check_overlay(path: Path) -> None:
    """The same for `overlay_sink`; MissingBackend where a video needs PyAV and there is none."""
    if not _is_video(path):
        check_folder(path)
        return
    if find_spec("av") is None:
        raise MissingBackend("writing a video needs PyAV; pip install av")
    check_file(path)


def _check_parent(path: Path) -> None:
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise SurgeonError(f"{path}: cannot be written: {folder} is a file, not a folder")
    if not os.access(folder if not path.exists() else path, os.W_OK):
        raise SurgeonError(f"{path}: cannot be written: permission denied")


def from_first_frame(make: Callable[[], Sink]) -> Sink:
    """The sink of `make`, which is made with the first frame: a refusal before it leaves what was there."""
    made: Sink | None = None

    def add(index: int, seconds: float, frame: Array, results: Mapping[int, Result]) -> None:
        nonlocal made
        made = made or make()
        made(index, seconds, frame, results)

    return add


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def overlay_sink(path: Path, rate: float, stack: ExitStack) -> Sink:
    """An overlay video where `path` ends like one (.mp4 .mkv .mov .webm .avi), else a folder of 00000.jpg ..."""
    return _video(path, rate, stack) if _is_video(path) else _pictures(path)


def _pictures(folder: Path) -> Sink:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)

    def add(index: int, _seconds: float, frame: Array, results: Mapping[int, Result]) -> None:
        Image.fromarray(draw(frame, results)).save(folder / f"{index:05d}.jpg", quality=90)

    return add


def _video(path: Path, rate: float, stack: ExitStack) -> Sink:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    container = stack.enter_context(av.open(str(path), "w"))
    stream: Any = container.add_stream(container.default_video_codec, rate=Fraction(rate).limit_denominator(1001))
    if path.suffix.lower() not in CONSTANT_RATE:
        stream.codec_context.time_base = TIME_BASE
    opened = False

    def add(_index: int, seconds: float, frame: Array, results: Mapping[int, Result]) -> None:
        nonlocal opened
        picture = _even(draw(frame, results))
        if not opened:
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuv420p"
            stack.callback(lambda: container.mux(stream.encode()))
            opened = True
        elif picture.shape[:2] != (stream.height, stream.width):
            raise SurgeonError(f"{path}: the frames change size; write a folder of pictures instead")
        encoded = av.VideoFrame.from_ndarray(picture, format="rgb24")
        if path.suffix.lower() not in CONSTANT_RATE:
            encoded.pts, encoded.time_base = round(seconds / TIME_BASE), TIME_BASE
        container.mux(stream.encode(encoded))

    return add


def _even(picture: Array) -> Array:
    """Repeat the last row or column where the height or width is odd: yuv420p halves the colour."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge"))


def record(index: int, seconds: float, object_id: int, result: Result) -> dict[str, Any]:
    """One object in one frame as plain data; the box is in pixels, x1 and y1 exclusive, None out of view."""
    x0, y0, x1, y1 = result.box or (None,) * 4
    area = int(result.mask.sum())
    scores = {"score": round(result.score, 6), "iou": round(result.iou, 6), "seconds": round(seconds, 6)}
    return {"frame": index, "object": object_id, "x0": x0, "y0": y0, "x1": x1, "y1": y1, "area": area, **scores}


def csv_sink(path: Path, stack: ExitStack) -> Sink:
    """One line an object and frame, columns COLUMNS; written through after every frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context(path.open("w", newline="", encoding="utf-8"))
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()

    def add(index: int, seconds: float, _frame: Array, results: Mapping[int, Result]) -> None:
        writer.writerows(record(index, seconds, object_id, result) for object_id, result in results.items())
        file.flush()

    return add


def json_sink(path: Path, stack: ExitStack) -> Sink:
    """One array of the records of `csv_sink`; closed properly even when tracking stops early."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context(path.open("w", encoding="utf-8"))
    separator = "[\n"

    def finish() -> None:
        file.write("[]\n" if separator == "[\n" else "\n]\n")

    stack.callback(finish)

    def add(index: int, seconds: float, _frame: Array, results: Mapping[int, Result]) -> None:
        nonlocal separator
        for object_id, result in results.items():
            file.write(separator + json.dumps(record(index, seconds, object_id, result)))
            separator = ",\n"

    return add


def kitti_sink(folder: Path, label: str) -> Sink:
    """00_000_<frame>.txt as DeepStream's `kitti-track-output-dir` (deepstream_app.c, write_kitti_track_output).

    Fields: label, id, 0.0 0 0.0, left top right bottom, seven times 0.0, confidence. The confidence is the
    predicted mask quality. Objects out of view have no line.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def add(index: int, _seconds: float, _frame: Array, results: Mapping[int, Result]) -> None:
        lines = [
            f"{label} {object_id} 0.0 0 0.0 {box} {'0.0 ' * 7}{result.iou:f}\n"
            for object_id, result in results.items()
            if result.box and (box := " ".join(f"{value:f}" for value in result.box))
        ]
        (folder / f"00_000_{index:06d}.txt").write_text("".join(lines), encoding="utf-8")

    return add


def mask_sink(folder: Path) -> Sink:
    """00000_<id>.png for each object and frame: 255 where the object is, at the video's size."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)

    def add(index: int, _seconds: float, _frame: Array, results: Mapping[int, Result]) -> None:
        for object_id, result in results.items():
            Image.fromarray(result.mask.astype(np.uint8) * 255).save(folder / f"{index:05d}_{object_id}.png")

    return add


def candidate_sink(folder: Path, stack: ExitStack) -> Sink:
    """The three masks of each prompted object: 00000_<id>_<0 to 2>.png, and candidates.csv with their qualities."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context((folder / "candidates.csv").open("w", newline="", encoding="utf-8"))
    writer = csv.writer(file)
    writer.writerow(("frame", "object", "candidate", "iou"))

    def add(index: int, _seconds: float, _frame: Array, results: Mapping[int, Result]) -> None:
        for object_id, result in results.items():
            if result.candidates is None or result.qualities is None:
                continue
            for number, (logits, quality) in enumerate(zip(result.candidates, result.qualities, strict=True)):
                picture = Image.fromarray(result.resized(logits).astype(np.uint8) * 255)
                picture.save(folder / f"{index:05d}_{object_id}_{number}.png")
                writer.writerow((index, object_id, number, round(float(quality), 6)))
        file.flush()

    return add
