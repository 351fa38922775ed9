"""Work in a thread, for what this process can do while it waits for TensorRT's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(call: Callable[..., T], *arguments: Any) -> Future[T]:
    """Start `call(*arguments)` in a thread that an interrupted process does not wait for."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future
