"""Says how far a long diagnosis is, where somebody listens."""

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
    """Within the block `listener` gets a line every few seconds, the first one after as long."""
    token, _ = _listener.set(listener), _last.set(time.monotonic())
    try:
        yield
    finally:
        _listener.reset(token)


def say(text: str) -> None:
    """Hand a line to the listener, unless it had one a moment ago."""
    listener, now = _listener.get(), time.monotonic()
    if listener is not None and now - _last.get() >= EVERY:
        _last.set(now)
        listener(text)
