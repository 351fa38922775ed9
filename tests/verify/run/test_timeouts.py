"""A limit in seconds counts the seconds in which the process runs."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time

import pytest

from verify.run.timeouts import WAITS, beside, result_of, run_within

LIMIT = 0.2


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_what_works_too_long_is_ended_once() -> None:
    ended: list[float] = []
    started = time.perf_counter()
    run_within(LIMIT, lambda: busy(LIMIT * (WAITS + 2)), lambda: ended.append(time.perf_counter() - started))
    assert len(ended) == 1
    assert ended[0] >= LIMIT


def test_what_cannot_work_gets_more_time() -> None:
    ended: list[float] = []
    run_within(LIMIT, lambda: time.sleep(LIMIT * 1.5), lambda: ended.append(0.0))
    assert ended == []


def test_but_not_for_ever() -> None:
    ended: list[float] = []
    run_within(LIMIT, lambda: time.sleep(LIMIT * (WAITS + 2)), lambda: ended.append(0.0))
    assert ended == [0.0]


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_what_ends_in_time_is_left_alone(limit: float | None) -> None:
    ended: list[float] = []
    assert run_within(limit, lambda: 7, lambda: ended.append(0.0)) == 7
    time.sleep(LIMIT * 2)
    assert ended == []


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_an_error_stays_one(limit: float | None) -> None:
    with pytest.raises(ZeroDivisionError):
        run_within(limit, lambda: 1 / 0, lambda: None)


def test_a_signal_ends_the_call() -> None:
    over = threading.Event()
    interrupt = threading.Timer(LIMIT, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        run_within(60.0, lambda: over.wait(60), over.set)
    assert over.is_set()


def test_a_signal_that_the_wait_missed_is_heard() -> None:
    """A signal between Python's last look for signals and the wait does not end the wait."""
    over = threading.Event()
    with beside(lambda _: over.wait(60)) as running:
        threading.Timer(LIMIT, _thread.interrupt_main).start()  # sets Python's mark, and wakes no wait
        with pytest.raises(KeyboardInterrupt):
            result_of(running)
        over.set()
