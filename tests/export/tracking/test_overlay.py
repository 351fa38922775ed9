"""The overlay: colours and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")


from export.tracking import modules
from export.tracking.overlay import COLOURS, draw
from export.tracking.prompts import Prompt
from export.tracking.tracker import Result, Tracker
from tests.export import toy_networks

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


def test_overlay_colours_the_mask_and_leaves_the_rest(tmp_path: Path) -> None:
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    frame = np.full((40, 60, 3), 100, np.uint8)
    (result,) = tracker.step(frame, {1: BOX}).values()
    inside = np.zeros((40, 60), bool)
    inside[10:20, 20:30] = True
    result.__dict__.update(mask=inside, box=(20, 10, 30, 20))
    picture = draw(frame, {1: result})
    changed = (picture != frame).any(axis=2)
    assert changed[19, 29]
    assert not changed[:5].any()
    assert not changed[:, 45:].any()


def test_labels_of_equal_boxes_stand_side_by_side() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    result = Result(np.full((16, 16), 1, np.float32), 0.9, 5.0, 60, 80)
    both, second = draw(frame, {1: result, 2: result}), draw(frame, {2: result})
    row = both[4, :40]
    assert {tuple(COLOURS[1]), tuple(COLOURS[2])} <= {tuple(pixel) for pixel in row.tolist()}
    assert (both[:20, 20:] != second[:20, 20:]).any()
