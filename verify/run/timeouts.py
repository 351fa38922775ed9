"""Ends a run when another thread asks for it, after a time limit, or when a signal comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
WAITS = 3  # how often the limit may pass while this process gets little processor time
TURN = 0.2  # seconds of a wait, after which Python looks for signals


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
        if self.asked:  # looked at after `limits` can be seen, or an `ask` in between would be lost
            limits.terminate = True


@contextmanager
def beside(call: Callable[[Halt], T]) -> Iterator[Future[T]]:
    """Run `call` in another thread during the `with` body. An exception in the body, such as Ctrl-C, ends the call.

    with beside(lambda halt: session.run(inputs, halt=halt)) as running:
        ...
        run = result_of(running)
    """
    halt = Halt()
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(call, halt)
        except BaseException:
            halt.ask()
            raise


def result_of(future: Future[T]) -> T:
    """The result, waited for in short turns: a signal that comes right before a wait does not end that wait."""
    while not _done_within(TURN, future):
        pass
    return future.result()


def run_within(timeout: float | None, call: Callable[[], T], end: Callable[[], None]) -> T:
    """`call()`. If it takes over `timeout` seconds, or a signal comes, `end` must end it; None and 0 set no limit.

    Time in which this process got little processor time, as on a suspended or busy machine, does not count.
    """
    if not timeout:
        return call()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        try:
            if not _done_in_time(timeout, future):
                end()
            return result_of(future)
        except BaseException:
            end()
            raise


def _done_in_time(timeout: float, future: Future[Any]) -> bool:
    for _ in range(WAITS):
        busy = time.process_time()
        if _done_within(timeout, future):
            return True
        if time.process_time() - busy > timeout / 2:
            break
    return False


def _done_within(seconds: float, future: Future[Any]) -> bool:
    until = time.monotonic() + seconds
    while not future.done() and (left := until - time.monotonic()) > 0:
        wait([future], min(left, TURN))
    return future.done()
