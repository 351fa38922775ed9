"""Several models at a time, each in a process of its own, because Python runs one thread of a process at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from surgery.interrupts import insist, once

T = TypeVar("T")
WORTH_IT = 1 << 20  # bytes of a model for which a process may start
LARGE = 512 << 20  # bytes of a model that is worked on alone
MOST = 4  # processes, unless more are asked for: each holds a model and what it computes


def jobs_for(models: Sequence[Path], wanted: int | None) -> int:
    """How many processes to use; 1 means only the present one."""
    if wanted is not None:
        return min(wanted, len(models))
    sizes = [model.stat().st_size for model in models if model.is_file()]
    if sum(size >= WORTH_IT for size in sizes) < 2 or max(sizes) > LARGE:
        return 1
    return min(len(models), os.cpu_count() or 1, MOST)


@contextmanager
def run_parallel(
    call: Callable[..., T], each: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[Iterator[Callable[[], T]]]:
    """For each tuple of arguments, in order, a function that returns the result of `call` or raises its exception.

    An exception in the `with` body, such as from Ctrl-C or SIGTERM, also ends every call that still runs.
    """
    with _ended_by(signal.SIGTERM):
        if jobs < 2:
            yield (partial(call, *arguments) for arguments in each)
        else:
            with _pool(call, each, jobs) as running:
                yield running


@contextmanager
def _pool(call: Callable[..., T], each: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[Iterator[Callable[[], T]]]:
    """`run_parallel` in several processes."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from verify.run.timeouts import result_of

    context = get_context("spawn")
    ended = context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare, initargs=(ended,)) as pool:
        try:
            with _unheard():
                running = [pool.submit(_called, call, arguments) for arguments in each]
            yield (partial(result_of, future) for future in running)
        except BaseException:
            ended.set()  # comes first: a child between two calls ignores the Ctrl-C that follows
            _interrupt_children()
            raise


@contextmanager
def _ended_by(number: int) -> Iterator[None]:
    """Let a signal raise SystemExit with the exit code of a shell, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def _unheard() -> Iterator[None]:
    """Ignore Ctrl-C; a child that starts meanwhile ignores it too, until the child sets a handler."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_ended: list[Any] = []  # in a child process: an event; once it is set, no call may begin


def _prepare(ended: Any) -> None:
    """Prepare a child process: it ignores Ctrl-C between two calls."""
    insist()
    _heed(False)
    _ended[:] = [ended]


def _called(call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """`call` in a child process, which Ctrl-C interrupts during the call."""
    _heed(True)
    try:
        if _ended[0].is_set():
            once()
        return call(*arguments)
    finally:
        _heed(False)


def _heed(interrupts: bool) -> None:
    """Raise KeyboardInterrupt at the next Ctrl-C, or ignore Ctrl-C."""
    signal.signal(signal.SIGINT, once if interrupts else signal.SIG_IGN)


def _interrupt_children() -> None:
    """Send Ctrl-C to the children; on Windows every process of a console receives it anyway."""
    from multiprocessing import active_children

    if os.name == "posix":
        for child in active_children():
            if child.pid is not None and child.is_alive():
                os.kill(child.pid, signal.SIGINT)
