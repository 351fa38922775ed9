"""What every test may rely on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import cached_property

import pytest

from surgery import isolated
from tests.fork_server import ForkServer

# A shell starts background jobs with SIGINT ignored, and processes hand that down; the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)


class _Lazy:
    @cached_property
    def server(self) -> ForkServer:
        return ForkServer()


@pytest.fixture(scope="session")
def _lazy() -> Iterator[_Lazy]:
    lazy = _Lazy()
    yield lazy
    if "server" in vars(lazy):
        lazy.server.close()


@pytest.fixture(autouse=True)
def quick_isolation(_lazy: _Lazy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork a Python that is there instead of starting one; tests/surgery/test_isolated.py starts one for each call."""
    monkeypatch.setattr(isolated, "_in_new_python", lambda *call: _lazy.server.call(*call))
