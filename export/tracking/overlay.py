"""Draw masks, boxes and ids over a frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.tracking.modules import Array
from export.tracking.tracker import Result

# Colours that people with any common colour blindness can tell apart (Okabe and Ito, 2008), without black.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
OPACITY = 0.5


def draw(frame: Array, results: Mapping[int, Result]) -> Array:
    """uint8 RGB [height, width, 3] with the masks blended in, a box and an id for each object in view."""
    from PIL import Image, ImageDraw, ImageFont

    blended = frame.copy()
    for object_id, result in results.items():
        tint = np.array(COLOURS[object_id % len(COLOURS)], np.float32)
        blended[result.mask] = (blended[result.mask] * (1 - OPACITY) + tint * OPACITY).astype(np.uint8)
    picture = Image.fromarray(blended)
    pen = ImageDraw.Draw(picture)
    thick = max(1, round(max(frame.shape[:2]) / 400))
    font = ImageFont.load_default(size=max(10, 8 * thick))
    labels: list[tuple[float, ...]] = []
    for object_id, result in results.items():
        if result.box is not None:
            x0, y0, x1, y1 = result.box
            colour = COLOURS[object_id % len(COLOURS)]
            pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=thick)
            area = pen.textbbox((x0 + 2 * thick, y0 + thick), f"{object_id}", font=font)
            left, top, right, bottom = _free_place((area[0] - thick, area[1] - thick, area[2] + thick, area[3]), labels)
            labels.append((left, top, right, bottom))
            pen.rectangle((left, top, right, bottom + thick), fill=colour)
            pen.text((left + thick, y0 + thick), f"{object_id}", fill=(0, 0, 0), font=font)
    return np.asarray(picture)


def _free_place(label: tuple[float, ...], taken: list[tuple[float, ...]]) -> tuple[float, ...]:
    """The label, moved right until it hides none that is there already."""
    left, top, right, bottom = label
    for other in sorted(taken):
        if left <= other[2] and other[0] <= right and top <= other[3] and other[1] <= bottom:
            left, right = other[2] + 1, other[2] + 1 + right - left
    return left, top, right, bottom
