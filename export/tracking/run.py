"""Track a whole video and write its results, with a progress bar and an orderly end on Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType

from export.tracking.options import Plan
from export.tracking.prompts import check_inside
from export.tracking.sinks import Sink
from export.tracking.source import Source
from export.tracking.tracker import Tracker
from verify.errors import SurgeonError
from verify.report import counted

LOG_SECONDS = 10.0  # between two progress lines in a log


@dataclass(frozen=True)
class Summary:
    """Frames tracked and seconds taken; `rate` is frames per second, reading and writing included.

    dropped   frames of a live source that were left out
    damaged   frames that the source holds in part only
    lost      pictures of which nothing could be decoded, so that they are no frames
    missing   seconds between the end of a file and the length that it states; 0 where not all was read
    """

    frames: int
    seconds: float
    interrupted: bool
    dropped: int = 0
    damaged: tuple[int, ...] = ()
    lost: int = 0
    missing: float = 0.0

    @property
    def rate(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0


def track_video(
    source: Source,
    tracker: Tracker,
    plan: Plan,
    sinks: Sequence[Sink],
    *,
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Feed frames to the tracker and its results to the sinks, until the end, `limit`, or `stopped()`.

    Raises SurgeonError when the video ends before a frame that the plan names. A refusal after the first frame says
    how many frames the results hold.
    """
    done = _Done()
    try:
        interrupted = _track(source, tracker, plan, sinks, done, limit, stopped, progress)
    except SurgeonError as error:
        if not done.frames:
            raise
        raise type(error)(f"{error}; the results hold the first {counted(done.frames, 'frame')}") from error
    seconds = time.monotonic() - done.begin
    damage = source.damage
    return Summary(done.frames, seconds, interrupted, source.dropped, tuple(done.damaged), damage.lost, damage.missing)


@dataclass
class _Done:
    """Frames that the sinks have taken."""

    begin: float = field(default_factory=time.monotonic)
    frames: int = 0
    damaged: list[int] = field(default_factory=list)


def _track(
    source: Source,
    tracker: Tracker,
    plan: Plan,
    sinks: Sequence[Sink],
    done: _Done,
    limit: int | None,
    stopped: Callable[[], bool],
    progress: Callable[[int], None],
) -> bool:
    """Whether `stopped()` ended it; `done` grows with each frame."""
    for index, (seconds, frame) in enumerate(islice(source.timed, limit)):
        if stopped():
            return True
        for object_id in plan.removals.get(index, ()):
            tracker.remove(object_id)
        prompts, corrections = plan.prompts.get(index, {}), plan.corrections.get(index, {})
        for object_id, prompt in [*prompts.items(), *corrections.items()]:
            check_inside(object_id, prompt, *frame.shape[:2])
        results = tracker.step(frame, prompts)
        if corrections:
            results.update(tracker.correct(corrections))
        for sink in sinks:
            sink(index, seconds, frame, results)
        done.frames = index + 1
        if seconds in source.damage.seconds:
            done.damaged.append(index)
        progress(done.frames)
    for kind in ("prompts", "corrections", "removals"):
        late = [frame for frame in getattr(plan, kind) if frame >= done.frames]
        if late:
            ended = f"the video ended after frame {done.frames - 1}"
            raise SurgeonError(f"{ended}; the {kind} at frame {min(late)} were never used")
    return False


@contextmanager
def orderly_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C or SIGTERM came; a second signal acts as usual."""
    stop_requested = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request_stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stop_requested
        stop_requested = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, request_stop)
    try:
        yield lambda: stop_requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(
    total: int | None, words: tuple[str, str, str] = ("tracking", "tracked", "frames")
) -> Iterator[Callable[[int], None]]:
    """Frames per second on standard error: a bar with the time left on a terminal, else a line every LOG_SECONDS.

    words   what is being done, what is done, and the unit
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, begin, (doing, finished, unit) = Console(stderr=True), time.monotonic(), words
    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.fields[rate]:.2f}} {unit}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(doing, total=total, rate=0.0)

        last_line = begin

        def advance(done: int) -> None:
            nonlocal last_line
            now = time.monotonic()
            rate = done / max(now - begin, 1e-6)
            progress.update(task, completed=done, rate=rate)
            if progress.disable and now - last_line > LOG_SECONDS:
                last_line = now
                of_total = f" of {total}" if total else ""
                print(f"{finished} {done}{of_total} {unit}, {rate:.2f} a second", file=sys.stderr)

        yield advance
