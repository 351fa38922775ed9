"""Keeps the process that holds TensorRT: starts it, asks it, ends it when it hangs, crashes or has grown."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

# A process that once used this much memory is not reused, because the library frees memory late.
KEEP_BELOW_KB = 3_000_000
# Python searches the current folder first, which may hold a verify.py of the user.
START = "import sys; sys.path[:1] == [''] and sys.path.pop(0); from verify.tensorrt.worker import main; main()"


class Ended(Exception):
    """The library's process ended before it answered. `kind` is "CRASH" or "TIMEOUT"."""

    def __init__(self, kind: str, message: str, seconds: float) -> None:
        super().__init__(message)
        self.kind = kind
        self.seconds = seconds


class Unusable(Exception):
    """The library is installed and cannot run here; the message says why."""


class Worker:
    """One running `verify.tensorrt.worker`."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.owner = os.getpid()
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Send one request and wait for its answer; Ended when none comes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        started = time.monotonic()
        timer = threading.Timer(limit, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        seconds = time.monotonic() - started
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        if seconds >= limit:
            raise Ended("TIMEOUT", f"TensorRT did not answer within {limit:.0f} s and was stopped", seconds)
        code = self.process.wait()
        raise Ended("CRASH", f"TensorRT's process ended with code {code}{self._last_words()}", seconds)

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read()[-4000:].decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def end(self) -> None:
        """Kill the process; its work is thrown away."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.communicate()
        self.errors.close()


_lock = threading.Lock()
_worker: Worker | None = None


def ask(backend: str, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
    """Answer of the kept process, started if need be; it is ended after a failure, an interrupt or much memory."""
    with _lock:
        worker = _started(backend)
        try:
            answer = worker.ask(request, limit)
        except BaseException:
            _end()
            raise
        if answer.pop("peak_kb") > KEEP_BELOW_KB or "unusable" in answer:
            _end()
        if "unusable" in answer:
            raise Unusable(answer["unusable"])
        return answer


def start(backend: str) -> None:
    """Start the process that is kept, so that it loads the library while this one does something else."""
    with _lock:
        _started(backend)


def _started(backend: str) -> Worker:
    """The kept process, started if there is none of this process for this backend."""
    global _worker
    if _worker is None or _worker.backend != backend or _worker.owner != os.getpid():
        _end()
        _worker = Worker(backend)
    return _worker


@atexit.register
def _end() -> None:
    global _worker
    if _worker is not None:
        _worker.end()
        _worker = None
