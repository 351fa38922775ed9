"""One video: track every object from its first mask, and score the annotated frames."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from export.evaluation.datasets import DAVIS, SAV, Video
from export.evaluation.measures import boundary, boundary_measure, region_similarity
from export.evaluation.sides import Side, first_prompts, open_side
from export.tracking.frames import read_picture
from export.tracking.modules import Array
from verify.errors import SurgeonError

PICTURE_SIDE = 640  # pixels of the longer side of the pictures on the page
FOUND, MISSED, ADDED = (255, 255, 255), (230, 60, 50), (60, 120, 255)


@dataclass(frozen=True)
class Task:
    """One video on one side; `prompt` is "mask" or "box", and `threads` 0 uses all cores."""

    side: Side
    video: Video
    prompt: str
    threads: int = 0


def evaluate_video(task: Task) -> dict[str, Any]:
    """The record of one video: for each object the scored frames, J and F of each, and a picture of the worst frame.

    An object that is in none of its scored annotations has no score (`frames` is empty), as in the program of SA-V.
    """
    begin, video = time.monotonic(), task.video
    try:
        track = open_side(task.side, task.threads)
        wanted = {frame for object_id in video.annotated for frame in video.scored(object_id)}
        scores = {object_id: _Scores(video, object_id) for object_id in video.annotated}
        for frame, logits in track(video, first_prompts(video, task.prompt), wanted):
            truth = video.truth(frame)
            found = _masks(video, logits)
            for object_id, score in scores.items():
                if frame in video.scored(object_id):
                    score.add(frame, found[object_id], truth[object_id])
    except SurgeonError as error:
        raise type(error)(f"video {video.name}: {error}") from error
    return {
        "video": video.name,
        "side": task.side.name,
        "prompt": task.prompt,
        "objects": {video.label(object_id): score.record() for object_id, score in scores.items()},
        "tracked_frames": len(video.frames),
        "seconds": round(time.monotonic() - begin, 3),
    }


def _masks(video: Video, logits: Mapping[int, Array]) -> dict[int, Array]:
    """bool masks; in the layout of DAVIS each pixel belongs to one object, the one with the largest logit."""
    if video.layout != DAVIS:
        return {object_id: values > 0 for object_id, values in logits.items()}
    ids = list(logits)
    stacked = np.stack([logits[object_id] for object_id in ids])
    largest = stacked.argmax(axis=0)
    return {object_id: (largest == row) & (stacked[row] > 0) for row, object_id in enumerate(ids)}


class _Scores:
    """J and F of one object, and its worst frame."""

    def __init__(self, video: Video, object_id: int) -> None:
        self.video, self.object_id = video, object_id
        self.rows: list[tuple[int, float, float]] = []
        self.in_truth = self.seen = False
        self.worst: tuple[float, int, Array, Array] | None = None

    def add(self, frame: int, mask: Array, truth: Array) -> None:
        if mask.shape != truth.shape:
            sizes = [f"{shape[1]} x {shape[0]}" for shape in (truth.shape, mask.shape)]
            raise SurgeonError(f"the annotation of frame {frame} is {sizes[0]}, the frame {sizes[1]}")
        self.in_truth |= bool(truth.any())
        self.seen |= bool(truth.any() or mask.any())
        if self.video.layout == SAV and not self.seen:
            return  # as in the program of SA-V: frames count once the object has been annotated or found
        row = frame, region_similarity(mask, truth), boundary_measure(mask, truth)
        self.rows.append(row)
        score = (row[1] + row[2]) / 2
        if self.worst is None or score < self.worst[0]:
            self.worst = score, frame, mask, truth

    def record(self) -> dict[str, Any]:
        rows = self.rows if self.in_truth or self.video.layout == DAVIS else []
        frames = [self.video.frames[frame].stem for frame, _, _ in rows]
        record: dict[str, Any] = {"frames": frames, "J": [row[1] for row in rows], "F": [row[2] for row in rows]}
        if rows and self.worst is not None:
            score, frame, mask, truth = self.worst
            picture = _picture(read_picture(self.video.frames[frame]), mask, truth)
            record["worst"] = {"frame": self.video.frames[frame].stem, "J&F": score, "picture": picture}
        return record


def _picture(frame: Array, mask: Array, truth: Array) -> str:
    """The frame with missed and added pixels tinted and the annotation's edge drawn: a JPEG in base 64."""
    from PIL import Image

    pixels = frame.astype(np.float32)
    for where, colour in ((truth & ~mask, MISSED), (mask & ~truth, ADDED)):
        pixels[where] = 0.4 * pixels[where] + 0.6 * np.array(colour, np.float32)
    pixels[boundary(truth)] = FOUND
    picture = Image.fromarray(pixels.astype(np.uint8))
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return b64encode(stream.getvalue()).decode()
