"""Reports the progress of a long diagnosis to a listener, if there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

EVERY = 5.0  # seconds between two lines

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)
_last: ContextVar[float] = ContextVar("last", default=0.0)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Within the block, `listener` gets at most one line every `EVERY` seconds, the first after that time."""
    token, _ = _listener.set(listener), _last.set(time.monotonic())
    try:
        yield
    finally:
        _listener.reset(token)


def say(text: str) -> None:
    """Send a line to the listener, unless the last one is less than `EVERY` seconds old."""
    listener, now = _listener.get(), time.monotonic()
    if listener is not None and now - _last.get() >= EVERY:
        _last.set(now)
        listener(text)
