"""A limit in seconds counts the seconds in which the process runs."""

from __future__ import annotations

import time

import pytest

from verify.run.timeouts import WAITS, ended_after

LIMIT = 0.2


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_what_works_too_long_is_ended_once() -> None:
    ended: list[float] = []
    started = time.perf_counter()
    with ended_after(LIMIT, lambda: ended.append(time.perf_counter() - started)):
        busy(LIMIT * (WAITS + 2))
    assert len(ended) == 1
    assert ended[0] >= LIMIT


def test_what_cannot_work_gets_more_time() -> None:
    ended: list[float] = []
    with ended_after(LIMIT, lambda: ended.append(0.0)):
        time.sleep(LIMIT * 1.5)
    assert ended == []


def test_but_not_for_ever() -> None:
    ended: list[float] = []
    with ended_after(LIMIT, lambda: ended.append(0.0)):
        time.sleep(LIMIT * (WAITS + 2))
    assert ended == [0.0]


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_what_ends_in_time_is_left_alone(limit: float | None) -> None:
    ended: list[float] = []
    with ended_after(limit, lambda: ended.append(0.0)):
        pass
    time.sleep(LIMIT * 2)
    assert ended == []
