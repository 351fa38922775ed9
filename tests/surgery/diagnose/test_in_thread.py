"""Work beside TensorRT's."""

from __future__ import annotations

import threading

import pytest

from surgery.diagnose.in_thread import in_thread


def test_the_caller_goes_on_and_gets_the_result_or_the_error_later() -> None:
    gate = threading.Event()
    good, bad = in_thread(gate.wait, 60), in_thread(int, "x")
    assert not good.done()
    gate.set()
    assert good.result(60)
    with pytest.raises(ValueError, match="invalid literal"):
        bad.result(60)
