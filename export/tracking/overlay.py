"""A frame with what was tracked drawn over it: masks, boxes, ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.tracker import Result
from export.tracking.modules import Array

# Colours that stay apart for people with any common colour blindness (Okabe and Ito, 2008), without black.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
OPACITY = 0.5


def draw(frame: Array, results: Mapping[int, Result]) -> Array:
    """uint8 RGB [height, width, 3] with the masks blended in, a box and an id for each object in view."""
    from PIL import Image, ImageDraw, ImageFont

    blended = frame.copy()
    for object_id, result in results.items():
        colour = np.array(COLOURS[object_id % len(COLOURS)], np.float32)
        blended[result.mask] = (blended[result.mask] * (1 - OPACITY) + colour * OPACITY).astype(np.uint8)
    picture = Image.fromarray(blended)
    pen = ImageDraw.Draw(picture)
    thick = max(1, round(max(frame.shape[:2]) / 400))
    font = ImageFont.load_default(size=max(10, 8 * thick))
    for object_id, result in results.items():
        if result.box is not None:
            _label(pen, result.box, f"{object_id}", COLOURS[object_id % len(COLOURS)], thick, font)
    return np.asarray(picture)


def _label(pen: object, box: tuple[int, int, int, int], text: str, colour: object, thick: int, font: object) -> None:
    x0, y0, x1, y1 = box
    pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=thick)  # type: ignore[attr-defined]
    left, top, right, bottom = pen.textbbox((x0 + 2 * thick, y0 + thick), text, font=font)  # type: ignore[attr-defined]
    pen.rectangle((left - thick, top - thick, right + thick, bottom + thick), fill=colour)  # type: ignore[attr-defined]
    pen.text((x0 + 2 * thick, y0 + thick), text, fill=(0, 0, 0), font=font)  # type: ignore[attr-defined]
