"""Prompts: the data, how they scale to the decoder's input, and how they are written on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from export.tracking.modules import Array
from verify.errors import SurgeonError

# Labels of the decoder: 0 background, 1 foreground, 2 and 3 the corners of a box, -1 no prompt.
BOX_LABELS = (2.0, 3.0)
NO_PROMPT = -1.0


@dataclass
class Prompt:
    """What the user says of one object in one frame, in pixels of the video: a box, points, or both."""

    box: tuple[float, float, float, float] | None = None
    points: list[tuple[float, float, int]] = field(default_factory=list)


def check_positive(object_id: int, prompt: Prompt) -> None:
    """SurgeonError unless the prompt has a box or a positive click: background clicks alone mark no object."""
    if prompt.box is None and not any(point[2] == 1 for point in prompt.points):
        raise SurgeonError(
            f"object {object_id}: background clicks alone mark no object; add a box or a click with label 1"
        )


def decoder_points(prompt: Prompt | None, height: int, width: int, size: int) -> tuple[Array, Array]:
    """Coordinates float32 [points, 2] in pixels of the size x size input, and labels float32 [points].

    A box comes first, as its two corners. No prompt is one point with label -1.
    """
    if prompt is None:
        return np.zeros((1, 2), np.float32), np.array([NO_PROMPT], np.float32)
    corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
    coords = np.array([*corners, *(point[:2] for point in prompt.points)], np.float32).reshape(-1, 2)
    labels = np.array([*BOX_LABELS[: len(corners)], *(point[2] for point in prompt.points)], np.float32)
    return coords / np.array([width, height], np.float32) * np.float32(size), labels


Schedule = dict[int, dict[int, Prompt]]


def parse(boxes: Iterable[str], points: Iterable[str]) -> Schedule:
    """Read `--box` and `--point` into {frame: {object id: Prompt}}.

    Either may begin with `ID=`, `@FRAME=` or `ID@FRAME=`. Without a frame it is frame 0. Boxes without an id are
    objects 1, 2, 3 in the order given; points without one belong to object 1.
    Raises SurgeonError for anything else, and for two boxes on one object in one frame.
    """
    schedule: Schedule = {}
    for count, text in enumerate(boxes, 1):
        object_id, frame, box = _read(text, "--box", count, 4)
        prompt = schedule.setdefault(frame, {}).setdefault(object_id, Prompt())
        if prompt.box is not None:
            raise SurgeonError(f"--box {text}: object {object_id} already has a box in frame {frame}")
        if box[2] <= box[0] or box[3] <= box[1]:
            raise SurgeonError(f"--box {text}: expected X0 < X1 and Y0 < Y1, in pixels")
        prompt.box = (box[0], box[1], box[2], box[3])
    for text in points:
        object_id, frame, point = _read(text, "--point", 1, 3)
        if point[2] not in (0, 1):
            raise SurgeonError(f"--point {text}: the label is 1 (object) or 0 (background)")
        prompt = schedule.setdefault(frame, {}).setdefault(object_id, Prompt())
        prompt.points.append((point[0], point[1], int(point[2])))
    for prompts in schedule.values():
        for object_id, prompt in prompts.items():
            check_positive(object_id, prompt)
    if not schedule:
        raise SurgeonError("nothing to track; give at least one --box X0,Y0,X1,Y1 or --point X,Y,1")
    return schedule


def parse_removals(texts: Iterable[str]) -> dict[int, list[int]]:
    """Read `--remove ID@FRAME` into {frame: [object id, ...]}."""
    removals: dict[int, list[int]] = {}
    for text in texts:
        object_id, _, frame = text.partition("@")
        if not object_id.isdecimal() or not frame.isdecimal():
            raise SurgeonError(f"--remove {text}: expected ID@FRAME, e.g. 2@50")
        removals.setdefault(int(frame), []).append(int(object_id))
    return removals


def _read(text: str, option: str, default_id: int, count: int) -> tuple[int, int, list[float]]:
    head, separator, numbers = text.rpartition("=")
    object_text, at, frame_text = head.partition("@")
    try:
        if bool(separator) != bool(head) or (at and not frame_text):
            raise ValueError
        object_id = int(object_text) if object_text else default_id
        frame = int(frame_text) if frame_text else 0
        values = [float(number) for number in numbers.split(",")]
        if len(values) != count or object_id < 0 or frame < 0 or not np.isfinite(values).all():
            raise ValueError
    except ValueError:
        shape = "X0,Y0,X1,Y1" if count == 4 else "X,Y,LABEL"
        raise SurgeonError(f"{option} {text}: expected {shape}, or ID=, @FRAME= or ID@FRAME= before it") from None
    return object_id, frame, values
