"""Ctrl-C and SIGTERM as exceptions that end the work, also where one is raised in a place that drops exceptions."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from typing import Any

SIGNALS = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}
SOON = 0.01  # seconds, after which the call that dropped an exception has returned

_came = False


def once(*_: object) -> None:
    """Raise KeyboardInterrupt, and ignore further Ctrl-C so that the clean-up is not interrupted."""
    global _came
    _came = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if `once` did; asked before a file is put in place, since a library may catch all."""
    if _came:
        raise KeyboardInterrupt


def insist() -> None:
    """Send a signal again whose exception Python drops, as it does in a callback or while it collects garbage."""
    before = sys.unraisablehook

    def hook(dropped: sys.UnraisableHookArgs, /) -> None:
        number = SIGNALS.get(dropped.exc_type)
        if number is None or signal.getsignal(number) is signal.SIG_DFL:
            before(dropped)
            return
        if signal.getsignal(number) is signal.SIG_IGN:  # as `once` left it
            signal.signal(number, once)
        _thread.start_new_thread(_send, (number,))

    sys.unraisablehook = hook


def _send(number: Any) -> None:
    time.sleep(SOON)
    if os.name == "posix":
        os.kill(os.getpid(), number)  # also ends a wait of the main thread
    else:
        signal.raise_signal(number)
