"""A call in a process of its own, so that a library that dies in it takes nothing else along."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from verify.errors import SurgeonError

T = TypeVar("T")
FAULTS = {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV} | {getattr(signal, "SIGBUS", signal.SIGSEGV)}


class Died(SurgeonError):
    """The process of a call was ended by a signal.

    Attributes:
        pid: of the process, which is gone.
        cause: the signal; a fault of some library if it is one of `FAULTS`.
        name: of the signal.
    """

    def __init__(self, pid: int, cause: int) -> None:
        super().__init__(pid, cause)
        self.pid, self.cause = pid, cause
        self.name = signal.Signals(cause).name

    def __str__(self) -> str:
        if self.cause in FAULTS:
            return f"a library died of it ({self.name})"
        why = ", most likely for want of memory" if self.name == "SIGKILL" else ""
        return f"its process was ended ({self.name}){why}"


def apart(call: Callable[..., T], *arguments: Any) -> T:
    """`call(*arguments)` in a child, which hands back what it gives or raises; Ctrl-C is passed on to it.

    Called here where the system has no fork, where onnxruntime has started threads already, and for SURGEON_DEBUG.

    Raises:
        Died: the child was ended by a signal.
    """
    if not hasattr(os, "fork") or "onnxruntime" in sys.modules or os.environ.get("SURGEON_DEBUG"):
        return call(*arguments)
    from multiprocessing import get_context

    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, call, arguments))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()
        good, value = receiver.recv()
    except EOFError:
        child.join()
        raise Died(child.pid or 0, -(child.exitcode or 0)) from None
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGINT)
            child.join()
        raise
    child.join()
    if good:
        return value  # type: ignore[no-any-return]
    raise value


def _answer(sender: Any, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """What the child does."""
    _end_with_parent()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, once)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        answer = (True, call(*arguments))
    except BaseException as error:
        answer = (False, _portable(error))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender.send(answer)


def _portable(error: BaseException) -> BaseException:
    """The error, or its words where it cannot be handed to another process: not all can be made from their `args`."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def once(*_: object) -> None:
    """Raise KeyboardInterrupt, and let no second one break off the tidying up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Who kills the parent means this process too (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
