"""Ends a run when another thread asks for it, or after a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
WAITS = 3  # how often the limit may pass while this process gets little processor time


class Halt:
    """Lets one thread end a run in another: `ask` stops the present run and those that begin later."""

    def __init__(self) -> None:
        self.asked = False
        self.limits: Any = None

    def ask(self) -> None:
        self.asked = True
        if self.limits is not None:
            self.limits.terminate = True

    def watch(self, limits: Any) -> None:
        """Register `limits`, the RunOptions of the next run, which `ask` then terminates."""
        self.limits = limits
        limits.terminate = self.asked


@contextmanager
def beside(call: Callable[[Halt], T]) -> Iterator[Future[T]]:
    """Run `call` in another thread during the `with` body. An exception in the body, such as Ctrl-C, ends the call.

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
    """Call `end` from another thread if the body takes over `timeout` seconds; None and 0 set no limit.

    Time in which this process got little processor time, as on a suspended or busy machine, does not count.
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
