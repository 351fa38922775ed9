"""Videos one after the other in this process, or in several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

from export.evaluation.video import Task, evaluate_video

# What runs tasks: it yields each with its record, or with a LostWorker, as they are finished.
Outcome = tuple[Task, "dict[str, Any] | LostWorker"]
Execute = Callable[[Sequence[Task]], Iterator[Outcome]]


class LostWorker(Exception):
    """The process that worked on a video has ended without a result: killed, out of memory, or its machine is gone."""


def in_this_process(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """One video after the other."""
    for task in tasks:
        yield task, evaluate_video(task)


def in_processes(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """As many videos at a time as there are workers; a worker that dies is replaced, and only its video is lost."""
    waiting: Queue[Task] = Queue()
    for task in tasks:
        waiting.put(task)
    outcomes: Queue[tuple[Task, dict[str, Any] | BaseException]] = Queue()
    running: set[int] = set()
    for _ in range(min(workers, len(tasks))):
        threading.Thread(target=_serve, args=(waiting, outcomes, running), daemon=True).start()
    try:
        for _ in tasks:
            task, outcome = outcomes.get()
            if isinstance(outcome, BaseException) and not isinstance(outcome, LostWorker):
                raise outcome
            yield task, outcome
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        for process in list(running):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)


def _serve(waiting: Queue[Task], outcomes: Queue[Any], running: set[int]) -> None:
    """Give waiting videos to one process, which is replaced if it dies."""
    from multiprocessing import get_context

    pool = None
    with suppress(Empty):
        while True:
            task = waiting.get_nowait()
            pool = pool or ProcessPoolExecutor(1, get_context("spawn"), initializer=_start, initargs=(os.getpid(),))
            outcome = _outcome(pool, task, running)
            outcomes.put((task, outcome))
            if isinstance(outcome, LostWorker):
                pool.shutdown()
                pool = None
    if pool is not None:
        pool.shutdown()


def _outcome(pool: ProcessPoolExecutor, task: Task, running: set[int]) -> dict[str, Any] | BaseException:
    try:
        process = pool.submit(os.getpid).result()
        running.add(process)
        try:
            return pool.submit(evaluate_video, task).result()
        finally:
            running.discard(process)
    except BrokenProcessPool:
        return LostWorker(f"video {task.video.name}: its process ended without a result")
    except Exception as error:
        return error


def _start(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
