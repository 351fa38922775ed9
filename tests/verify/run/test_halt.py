"""Runs that another thread ends, and sessions that share an arena."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from verify.run.session import Halt, open_session

X = {"x": np.array([1.0, -2.0], np.float32)}
NEGATION = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Neg(x) }'
ENDLESS = """<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) {
go = Constant<value = bool {1}>()
y = Loop(, go, x) <body = b (int64 i, bool c, float[2] a) => (bool d, float[2] e) { d = Identity(c) e = Neg(a) }> }"""


def model(text: str = NEGATION) -> onnx.ModelProto:
    return parser.parse_model(text)


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_run_that_begins_after_the_word_ends_at_once(backend: str) -> None:
    session, halt = open_session(model(ENDLESS), backend=backend), Halt()
    halt.ask()
    run = session.run(X, halt=halt, timeout=30)
    assert run.error
    assert run.seconds < 20


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_run_under_way_is_ended(backend: str) -> None:
    session, halt = open_session(model(ENDLESS), backend=backend), Halt()
    timer = threading.Timer(0.3, halt.ask)
    timer.start()
    run = session.run(X, halt=halt, timeout=60)
    timer.join()
    assert run.error
    assert run.outputs == {}
    assert run.seconds < 30


@pytest.mark.parametrize("backend", ["onnxruntime", "reference"])
def test_halt_of_one_run_is_not_that_of_another(backend: str) -> None:
    session, halt = open_session(model(), backend=backend), Halt()
    assert session.run(X, halt=Halt()).error == ""
    halt.ask()
    assert session.run(X).outputs["y"].tolist() == [-1.0, 2.0]
    assert session.run(X, halt=Halt()).outputs["y"].tolist() == [-1.0, 2.0]


def entries(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is set on sessions and runs, as they come."""
    import onnxruntime

    seen: list[tuple[str, str]] = []

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        def add_session_config_entry(self, key: str, value: str) -> None:
            seen.append((key, value))
            super().add_session_config_entry(key, value)

    class Limits(onnxruntime.RunOptions):  # type: ignore[misc]
        def add_run_config_entry(self, key: str, value: str) -> None:
            seen.append((key, value))
            super().add_run_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(onnxruntime, "RunOptions", Limits)
    return seen


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_only_the_last_run_of_a_shared_arena_gives_it_back(
    monkeypatch: pytest.MonkeyPatch, shared: bool, last: bool
) -> None:
    seen: Any = entries(monkeypatch)
    session = open_session(model(), backend="onnxruntime", shared_memory=shared)
    assert session.error == ""
    assert ("session.use_env_allocators" in dict(seen)) is shared
    assert ("session.use_device_allocator_for_initializers" in dict(seen)) is shared
    assert dict(seen)["session.intra_op.allow_spinning"] == "0"
    seen.clear()
    assert session.run(X, last=last).outputs["y"].tolist() == [-1.0, 2.0]
    assert seen == ([("memory.enable_memory_arena_shrinkage", "cpu:0")] if shared and last else [])


def test_clock_of_a_run_ends_with_it() -> None:
    session = open_session(model())
    before = threading.active_count()
    for _ in range(20):
        assert session.run(X, timeout=60).error == ""
    time.sleep(0.2)
    assert threading.active_count() <= before + 1
