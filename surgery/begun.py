"""The fixed model on its first inputs while the original still runs on them: two cores have room for both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from verify.limits import Halt, ended_after
from verify.runner import Run, Session


class Begun:
    """A session that opens, and runs once, in a thread of its own; later inputs run when they are asked for.

    Args:
        open_it: makes the session.
        first: will hold the first inputs, or None where there are none.
        fed: inputs of the original as the fixed model takes them.
    """

    def __init__(
        self,
        open_it: Callable[[], Session],
        first: SimpleQueue[dict[str, Any] | None],
        fed: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        self._open, self._first, self._fed = open_it, first, fed
        self._halt = Halt()
        self._session = Session("", error="the fixed model was not opened")
        self._inputs: dict[str, Any] = {}
        self._run: Run | None = None
        self._thread = threading.Thread(target=self._begin)
        self._thread.start()

    def _begin(self) -> None:
        self._session = self._open()
        first = self._first.get()
        if first is not None and not self._halt.asked:
            self._inputs = self._fed(first)
            self._run = self._session.run(self._inputs, halt=self._halt, last=True)

    def run(self, inputs: Mapping[str, Any], *, timeout: float | None = None, last: bool = False) -> Run:
        """As `Session.run`; the run that has begun counts for the inputs it was given."""
        with ended_after(timeout, self._halt.ask):
            self._thread.join()
        if self._halt.asked:
            return Run(error=f"it takes over {timeout or 0:.0f} s longer than the original")
        if self._run is not None and _same(inputs, self._inputs):
            return self._run
        return self._session.run(inputs, timeout=timeout, last=last)

    def stop(self) -> None:
        """End what runs."""
        self._first.put(None)
        self._halt.ask()
        self._thread.join()


def _same(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether these are the very same values by the same names."""
    return some.keys() == others.keys() and all(some[name] is others[name] for name in some)
