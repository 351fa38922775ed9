"""The sides of a comparison: folders of exported files, or the stock predictor that they were exported from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from export.evaluation.datasets import Video
from export.tracking.frames import read_picture
from export.tracking.images import bounding_box, resize_logits
from export.tracking.modules import Array
from export.tracking.prompts import Prompt, Schedule
from verify.errors import SurgeonError

STOCK = "stock"
JPEG = {".jpg", ".jpeg"}

# (frame, mask logits float32 [height, width] by object id) for each of the frames asked for.
Logits = Iterator[tuple[int, Mapping[int, Array]]]
Track = Callable[[Video, Schedule, set[int]], Logits]


@dataclass(frozen=True)
class Side:
    """One column of the comparison.

    name          as the table shows it
    folder        of the ONNX files; of those that the stock predictor is the original of with `stock`
    checkpoint    trained weights for the stock predictor where they do not lie beside the files
    provider      what runs the files: "cpu", "cuda" or "tensorrt"; the stock predictor runs on the CPU
    fingerprint   what its results depend on, as a SHA-256
    """

    name: str
    folder: Path
    stock: bool = False
    checkpoint: Path | None = None
    provider: str = "cpu"
    fingerprint: str = ""


def find_sides(
    models: Path, against: tuple[str, ...], checkpoint: Path | None = None, provider: str = "cpu"
) -> list[Side]:
    """The files of `models` first, then each of `against`, which is a folder or the word `stock`."""
    folders = [(str(models), models, False)]
    folders += [(text, models if text == STOCK else Path(text), text == STOCK) for text in against]
    names = [name for name, _, _ in folders]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SurgeonError(f"{twice[0]}: named twice; --models and --against are to differ")
    return [
        Side(name, folder.resolve(), stock, checkpoint, provider, _fingerprint(folder, stock, checkpoint, provider))
        for name, folder, stock in folders
    ]


def first_prompts(video: Video, kind: str) -> Schedule:
    """Each object's mask in its first annotated frame, or the box around it, as {frame: {object: Prompt}}."""
    schedule: Schedule = {}
    for object_id, frames in video.annotated.items():
        mask = video.truth(frames[0])[object_id]
        box = bounding_box(mask)
        assert box is not None
        x0, y0, x1, y1 = box
        prompt = Prompt(mask=mask) if kind == "mask" else Prompt(box=(x0, y0, x1 - 1, y1 - 1))
        schedule.setdefault(frames[0], {})[object_id] = prompt
    return schedule


@lru_cache(maxsize=1)
def open_side(side: Side, threads: int) -> Track:
    """The function that tracks a video; models are loaded here, once in a process."""
    return _open_stock(side, threads) if side.stock else _open_files(side, threads)


def _open_files(side: Side, threads: int) -> Track:
    from export.tracking.modules import load
    from export.tracking.tracker import Tracker

    modules = load(side.folder, threads, provider=side.provider)

    def track(video: Video, schedule: Schedule, wanted: set[int]) -> Logits:
        tracker = Tracker(modules)
        for index, file in enumerate(video.frames):
            frame = read_picture(file)
            results = tracker.step(frame, schedule.get(index))
            if index in wanted:
                yield index, {i: resize_logits(one.logits, *frame.shape[:2]) for i, one in results.items()}

    return track


def _open_stock(side: Side, threads: int) -> Track:
    import torch

    from export.stock.closed_loop import stock_predictor
    from export.stock.stream import stream
    from export.tracking.modules import load

    if threads:
        torch.set_num_threads(threads)
    predictor = stock_predictor(load(side.folder, 1), side.folder, side.checkpoint)

    def track(video: Video, schedule: Schedule, wanted: set[int]) -> Logits:
        if other := [file for file in video.frames if file.suffix.lower() not in JPEG or not file.stem.isdecimal()]:
            raise SurgeonError(f"{other[0]}: the stock predictor reads frames that are named 00000.jpg, 00001.jpg, ...")
        for frame, logits in stream(predictor, video.frames[0].parent, schedule, len(video.frames)):
            if frame in wanted:
                yield frame, logits

    return track


def _fingerprint(folder: Path, stock: bool, checkpoint: Path | None, provider: str) -> str:
    files = sorted(file for file in folder.glob("*.onnx*") if file.is_file())
    if not files:
        raise SurgeonError(f"{folder}: no .onnx files in it")
    weights = checkpoint and (str(checkpoint), checkpoint.stat().st_size)
    digest = sha256(repr((stock, weights, provider)).encode())
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as content:
            while part := content.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
