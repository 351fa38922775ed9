"""Tracking a whole video: Ctrl-C and progress."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("PIL")


from export.tracking import modules
from export.tracking.frames import open_frames
from export.tracking.options import Plan
from export.tracking.prompts import Prompt
from export.tracking.run import orderly_stop, track_video
from export.tracking.tracker import Tracker
from tests.export import toy_networks

BOX = Prompt(box=(10, 8, 40, 30))
CLICK = Prompt(points=[(20, 10, 1)])


def test_second_interrupt_is_as_ever() -> None:
    with orderly_stop() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_track_video_counts_frames(tmp_path: Path, clip: Path) -> None:
    counts: list[int] = []
    tracker = Tracker(modules.load(toy_networks.write(tmp_path)))
    with open_frames(clip) as source:
        summary = track_video(source, tracker, Plan({0: {1: BOX}}), [], limit=4, progress=counts.append)
    assert (summary.frames, summary.interrupted, counts) == (4, False, [1, 2, 3, 4])
