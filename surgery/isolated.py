"""Runs a call in a process of its own, so that a crash of a library there ends nothing else."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from surgery.interrupts import insist, once
from verify.errors import SurgeonError

T = TypeVar("T")
TURN = 0.2  # seconds; a wait is cut into turns, because Ctrl-C right before a wait does not end it
THREADED = {"onnxruntime", "torch", "tensorflow", "jax"}  # packages that start threads
FAULTS = {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV} | {getattr(signal, "SIGBUS", signal.SIGSEGV)}


class Died(SurgeonError):
    """The process of a call was ended by a signal.

    Attributes:
        pid: of the process, which is gone.
        cause: the signal; one of `FAULTS` if a library crashed.
        name: of the signal.
        work: what the process was at, as `noted` says; "" where nothing was noted.
    """

    def __init__(self, pid: int, cause: int, work: str = "") -> None:
        super().__init__(pid, cause, work)
        self.pid, self.cause, self.work = pid, cause, work
        self.name = signal.Signals(cause).name

    def __str__(self) -> str:
        if self.cause in FAULTS:
            return f"a library died of it ({self.name})"
        why = ", most likely because memory ran out" if self.name == "SIGKILL" else ""
        return f"its process was ended ({self.name}){why}"


def run_isolated(call: Callable[..., T], *arguments: Any) -> T:
    """`call(*arguments)` in a child process, which returns its result or its error; Ctrl-C is passed on to it.

    The child is a fork of this process, or a new Python where the system has no fork and where a library has started
    threads, which a fork would lack. Called in this process if SURGEON_DEBUG is set.

    Raises:
        Died: the child was ended by a signal.
    """
    if os.environ.get("SURGEON_DEBUG"):
        return call(*arguments)
    if not hasattr(os, "fork") or not THREADED.isdisjoint(sys.modules):
        return _in_new_python(call, arguments)
    with tempfile.TemporaryFile() as notes:
        return _in_fork(call, arguments, notes)


def _in_fork(call: Callable[..., T], arguments: tuple[Any, ...], notes: Any) -> T:
    """`call(*arguments)` in a fork of this process, which writes what it is at to the file `notes`."""
    from multiprocessing import get_context

    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    try:
        with _interrupts_held() as held:
            child = context.Process(target=_answer, args=(sender, notes.fileno(), held, call, arguments))
            child.start()
        sender.close()
        while not receiver.poll(TURN):
            pass
        good, value = receiver.recv()
    except EOFError:
        child.join()
        raise Died(child.pid or 0, -(child.exitcode or 0), notes.read().decode()) from None
    except BaseException:
        if child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGINT)
            child.join()
        raise
    child.join()
    if good:
        return value  # type: ignore[no-any-return]
    raise value


_works: list[str] = []
_notes: list[int] = []  # the open file of an isolated process; empty elsewhere


@contextmanager
def noted(work: str) -> Iterator[None]:
    """Note what this process is at, such as "the original", so that `Died.work` says it if the body ends the process.

    Several may be noted at a time, from several threads.
    """
    _works.append(work)
    _write_notes()
    try:
        yield
    finally:
        _works.remove(work)
        _write_notes()


def _write_notes() -> None:
    for file in _notes:
        os.ftruncate(file, 0)
        os.pwrite(file, " and ".join(dict.fromkeys(_works)).encode(), 0)


SERVE = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from surgery.isolated import serve; serve()"


def _in_new_python(call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """`call(*arguments)` in a Python that is started for it; `call` must be importable and all of it picklable."""
    with tempfile.TemporaryDirectory(prefix="surgeon-") as folder:
        answer, notes = os.path.join(folder, "answer"), os.path.join(folder, "notes")
        try:
            given = pickle.dumps(sys.path) + pickle.dumps((call, arguments, answer, notes))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SurgeonError(f"cannot be sent to a process of its own: {error}") from None
        child = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE)
        assert child.stdin is not None
        try:
            with suppress(BrokenPipeError), child.stdin as stream:
                stream.write(given)
            while child.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(TURN)
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise
        if child.returncode < 0:
            raise Died(child.pid, -child.returncode, _read_notes(notes))
        try:
            with open(answer, "rb") as file:
                good, value = pickle.load(file)
        except OSError:
            raise SurgeonError(f"{sys.executable} ended with {child.returncode} before it could answer") from None
    if good:
        return value  # type: ignore[no-any-return]
    raise value


def _read_notes(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def serve() -> None:
    """Answer the one call that standard input holds; what `_in_new_python` starts."""
    answer_call(*pickle.load(sys.stdin.buffer))


def answer_call(call: Callable[..., Any], arguments: tuple[Any, ...], path: str, notes: str) -> None:
    """Write what `call(*arguments)` returns or raises to the file `path`, and what it is at to the file `notes`."""
    _die_with_parent()
    insist()
    _notes.append(os.open(notes, os.O_RDWR | os.O_CREAT))
    try:
        answer = (True, call(*arguments))
    except BaseException as error:
        answer = (False, _portable(error))
    with open(path, "wb") as file:
        pickle.dump(answer, file)


@contextmanager
def _interrupts_held() -> Iterator[list[int]]:
    """Note Ctrl-C while the body runs and raise it afterwards.

    Blocking the signal in this thread would not do: threads of native libraries take it in its place.
    """
    held: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield held
        return
    signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        before(signal.SIGINT, None)


def _answer(sender: Any, notes: int, held: list[int], call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run the call in the child and send what it returns or raises; `held` has Ctrl-C that came before."""
    _die_with_parent()
    _notes[:] = [notes]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, once)
    try:
        if held:
            once()
        answer = (True, call(*arguments))
    except BaseException as error:
        answer = (False, _portable(error))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender.send(answer)


def _portable(error: BaseException) -> BaseException:
    """The error, or its text where it cannot be pickled: not all can be made from their `args`."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _die_with_parent() -> None:
    """Die when the parent is killed (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
