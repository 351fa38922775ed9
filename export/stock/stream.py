"""The stock `SAM2VideoPredictor` frame by frame, without keeping what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from export.stock.predictor import add_prompts
from export.tracking.modules import Array
from export.tracking.prompts import Prompt


def stream(
    predictor: Any, folder: Path, schedule: Mapping[int, Mapping[int, Prompt]], frames: int
) -> Iterator[tuple[int, dict[int, Array]]]:
    """(frame, mask logits float32 [height, width] by object id) for each frame of `folder` (00000.jpg ...).

    Objects are added when all earlier frames have been tracked, as in `export.stock.predictor.track`.
    """
    starts = sorted(start for start in schedule if start < frames)
    with redirect_stderr(StringIO()):
        state = predictor.init_state(str(folder))
    for start, end in zip(starts, [*starts[1:], frames], strict=True):
        add_prompts(predictor, state, start, schedule[start])
        steps = predictor.propagate_in_video(state, start, max_frame_num_to_track=end - 1 - start)
        for frame, ids, masks in _quiet(steps):
            yield frame, {i: mask[0].numpy() for i, mask in zip(ids, masks, strict=True)}


def _quiet(steps: Iterator[Any]) -> Iterator[Any]:
    """The same iterator, without its progress bar on standard error."""
    while True:
        with redirect_stderr(StringIO()):
            step = next(steps, None)
        if step is None:
            return
        yield step
