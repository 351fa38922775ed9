"""Prompts: boxes, clicks and masks, and the decoder's inputs they become."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from export.tracking.modules import Array
from verify.errors import SurgeonError

# Labels of the decoder: 0 background, 1 foreground, 2 and 3 the corners of a box, -1 no prompt.
BOX_LABELS = (2.0, 3.0)
NO_PROMPT = -1.0


@dataclass
class Prompt:
    """What the user marks of one object in one frame, in pixels of the video: a box, points, or both; or a mask.

    mask   bool [height, width] at the video's size, True where the object is
    """

    box: tuple[float, float, float, float] | None = None
    points: list[tuple[float, float, int]] = field(default_factory=list)
    mask: Array | None = field(default=None, compare=False)


def check_positive(object_id: int, prompt: Prompt) -> None:
    """SurgeonError unless the prompt marks an object: a box, a positive click, or a mask alone that is not empty."""
    if prompt.mask is not None:
        if prompt.box is not None or prompt.points:
            raise SurgeonError(f"object {object_id}: a mask is a prompt of its own; give no box and no click beside it")
        if not prompt.mask.any():
            raise SurgeonError(f"object {object_id}: the mask is empty")
        return
    if prompt.box is None and not any(point[2] == 1 for point in prompt.points):
        raise SurgeonError(
            f"object {object_id}: background clicks alone mark no object; add a box or a click with label 1 "
            "(--correct ID@FRAME=X,Y,0 corrects an object that is tracked)"
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


def check_inside(object_id: int, prompt: Prompt, height: int, width: int) -> None:
    """SurgeonError for a prompt that does not fit the frame, most often one measured on a video of another size."""
    corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
    for x, y in [*corners, *(point[:2] for point in prompt.points)]:
        if not (0 <= x <= width and 0 <= y <= height):
            raise SurgeonError(f"object {object_id}: {x:g},{y:g} lies outside the video, which is {width} x {height}")
    if prompt.mask is not None and prompt.mask.shape != (height, width):
        rows, columns = prompt.mask.shape
        raise SurgeonError(f"object {object_id}: the mask is {columns} x {rows}, the video is {width} x {height}")
