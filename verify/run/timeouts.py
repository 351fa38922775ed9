"""How a run is ended: by word from another thread, or past a limit in seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
WAITS = 3  # times the limit is waited for, while this process hardly runs


class Halt:
    """How one thread tells a run in another to end: `ask` stops it, and those that begin after it."""

    def __init__(self) -> None:
        self.asked = False
        self.limits: Any = None

    def ask(self) -> None:
        self.asked = True
        if self.limits is not None:
            self.limits.terminate = True

    def watch(self, limits: Any) -> None:
        """Let `limits`, the RunOptions of a run that is to begin, obey."""
        self.limits = limits
        limits.terminate = self.asked


@contextmanager
def beside(call: Callable[[Halt], T]) -> Iterator[Future[T]]:
    """`call` in another thread beside the body. What breaks the body off, as Ctrl-C does, ends it.

    with beside(lambda halt: session.run(inputs, halt=halt)) as running:
        ...
        run = running.result()
    """
    halt = Halt()
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(call, halt)
        except BaseException:
            halt.ask()
            raise


@contextmanager
def ended_after(timeout: float | None, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` from another thread when the body takes over `timeout` seconds; without a limit never.

    Seconds in which this process hardly ran are not the body's: a lid was shut, or others had the processors.
    """
    if not timeout:
        yield
        return
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(over, timeout, end), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(over: threading.Event, timeout: float, end: Callable[[], None]) -> None:
    for _ in range(WAITS):
        busy = time.process_time()
        if over.wait(timeout):
            return
        if time.process_time() - busy > timeout / 2:
            break
    end()
