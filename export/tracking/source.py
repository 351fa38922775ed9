"""Frames with their times, and a queue that keeps a live source from running late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread

from export.tracking.modules import Array

# seconds since the first frame, and uint8 RGB [height, width, 3]
Timed = tuple[float, Array]
QUEUED = 2  # most frames that wait while one is tracked
JOIN_SECONDS = 15.0  # more than a network source waits for data


@dataclass
class Damage:
    """What a decoder could read in part only.

    seconds   times of frames whose data are cut off or have errors
    lost      pictures of which nothing could be decoded
    missing   seconds between the end of a file's streams and the length that it states
    """

    seconds: set[float] = field(default_factory=set)
    lost: int = 0
    missing: float = 0.0


@dataclass
class Source:
    """An iterable of frames, uint8 RGB [height, width, 3].

    timed     the same frames with their times
    count     how many there are; None when that is not known
    rate      frames per second; of a variable rate the average
    dropped   frames of a live source that were left out because a newer one was there
    damage    grows while the frames are taken
    """

    timed: Iterator[Timed]
    count: int | None
    rate: float
    dropped: int = 0
    damage: Damage = field(default_factory=Damage)

    def __iter__(self) -> Iterator[Array]:
        return (pixels for _, pixels in self.timed)


@contextmanager
def live(source: Source) -> Iterator[Source]:
    """The same source, read in a thread of its own; at most QUEUED frames wait, and a newer frame replaces the oldest.

    An error of the source is raised when the frames before it have been taken.
    """
    queue = _Queue()
    queued = Source(queue.take(), None, source.rate, damage=source.damage)
    reader = Thread(target=queue.fill, args=(source, queued), daemon=True)
    reader.start()
    try:
        yield queued
    finally:
        queue.end()
        reader.join(JOIN_SECONDS)  # the container must not be closed while it is read


@dataclass
class _Queue:
    waiting: deque[Timed] = field(default_factory=deque)
    changed: Condition = field(default_factory=Condition)
    ended: bool = False
    error: BaseException | None = None

    def fill(self, source: Source, queued: Source) -> None:
        """Read until the source or the queue has ended, and count in `queued` what is dropped."""
        try:
            for timed in source.timed:
                with self.changed:
                    if self.ended:
                        return
                    if len(self.waiting) == QUEUED:
                        self.waiting.popleft()
                        queued.dropped += 1
                    self.waiting.append(timed)
                    self.changed.notify()
        except BaseException as error:
            self.error = error
        finally:
            self.end()

    def take(self) -> Iterator[Timed]:
        """Frames as they come."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.ended)
                if not self.waiting:
                    break
                timed = self.waiting.popleft()
            yield timed
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        """No more frames come in; those that wait can still be taken."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()
