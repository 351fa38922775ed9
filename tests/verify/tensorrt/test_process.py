"""What is made of the answers of TensorRT's process, and how long that process is kept, with stand-ins."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser

from verify.errors import MissingBackend, SurgeonError
from verify.tensorrt import engine, process
from verify.tensorrt.check import check_tensorrt
from verify.tensorrt.engine import Refusal
from verify.tensorrt.process import Ended, Worker


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    text = '<ir_version: 8, opset_import: ["" : 17]> m (float[2] x) => (float[2] y) { y = Relu(x) }'
    onnx.save(parser.parse_model(text), path)
    return path


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, dict[str, Any], float]]:
    asked: list[tuple[str, dict[str, Any], float]] = []

    def ask(backend: str, request: dict[str, Any], limit: float) -> Any:
        asked.append((backend, request, limit))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(engine, "ask", ask)
    monkeypatch.setattr(engine, "backend", lambda: "tensorrt")
    return asked


def test_refusals_come_once_each_and_in_order(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = {"code": "A", "node": 1, "stack": ["f", "g"]}, {"code": "B", "message": "m"}
    asked = answering(monkeypatch, {"parsed": False, "refusals": [one, two, one]})
    assert engine.parse(model, limit=7.0) == [Refusal("A", 1, stack=("f", "g")), Refusal("B", message="m")]
    assert asked == [("tensorrt", {"path": str(model), "build": False, "detailed": False}, 7.0)]


@pytest.mark.parametrize(("parsed", "found"), [(True, []), (False, [Refusal("INVALID_GRAPH", message="one; two")])])
def test_parser_that_gives_no_refusal(model: Path, monkeypatch: pytest.MonkeyPatch, parsed: bool, found: Any) -> None:
    answering(monkeypatch, {"parsed": parsed, "refusals": [], "messages": ["one", "two"]})
    assert engine.parse(model) == found


@pytest.mark.parametrize("kind", ["CRASH", "TIMEOUT"])
def test_library_that_does_not_answer(model: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    answering(monkeypatch, Ended(kind, "it ended", 1.5))
    assert engine.parse(model) == [Refusal(kind, message="it ended")]
    span = {"x": ((1,), (2,), (3,))}
    built = engine.build(model, span)
    assert (built.ok, built.parsed) == (False, False)
    assert (built.messages, built.seconds, built.profiles) == (("it ended",), 1.5, span)
    assert engine.build(model).profiles == {}


def test_build_is_asked_and_told(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = {
        "parsed": True, "refusals": [], "ok": True, "messages": ["m"], "warnings": ["w"], "seconds": 2.5,
        "engine_bytes": 99, "profiles": {"x": [[1], [2], [3]]}, "log": ["l"],
    }  # fmt: skip
    asked = answering(monkeypatch, answer)
    monkeypatch.chdir(tmp_path)
    built = engine.build("m.onnx", {"x": ((1,), (2,), (3,))}, "SM75", True, engine="e.engine", limit=9.0)
    assert asked == [("tensorrt", {
        "path": str(model), "build": True, "detailed": True, "profiles": {"x": [[1], [2], [3]]},
        "values": {}, "capability": "SM75", "engine": str(tmp_path / "e.engine"),
    }, 9.0)]  # fmt: skip
    assert built == engine.BuildResult(True, (), ("m",), ("w",), 2.5, 99, {"x": ((1,), (2,), (3,))}, False, ("l",))
    short = {"parsed": False, "refusals": [{"code": "A"}], "warnings": [], "seconds": 0.5, "log": []}
    asked = answering(monkeypatch, short)
    built = engine.build(model)
    assert built == engine.BuildResult(False, (Refusal("A"),), (), (), 0.5, 0, {}, True, (), parsed=False)
    assert asked[0][1]["profiles"] is asked[0][1]["engine"] is None
    assert (asked[0][1]["capability"], asked[0][1]["detailed"]) == ("SM89", False)
    with pytest.raises(SurgeonError, match="no such file"):
        engine.build(tmp_path / "absent.onnx")


def test_backend_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SURGEON_TENSORRT", raising=False)
    here = {"tensorrt": object()}
    monkeypatch.setattr(engine.importlib.util, "find_spec", here.get)
    assert engine.backend() == "tensorrt"
    here["tensorrt_rtx"] = object()
    assert engine.backend() == "tensorrt_rtx"
    monkeypatch.setenv("SURGEON_TENSORRT", "tensorrt")
    assert engine.backend() == "tensorrt"
    monkeypatch.setenv("SURGEON_TENSORRT", "json")
    with pytest.raises(MissingBackend, match="TensorRT is not installed"):
        engine.backend()
    monkeypatch.setenv("SURGEON_TENSORRT", "tensorrt_rtx")
    here.clear()
    with pytest.raises(MissingBackend, match="tensorrt_rtx is not installed"):
        engine.backend()
    assert not engine.available()


def test_version_is_that_of_the_first_distribution_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    monkeypatch.setattr(engine, "backend", lambda: "tensorrt")
    known = {"tensorrt-cu12": "10.1"}

    def version(name: str) -> str:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(metadata, "version", version)
    assert engine.version() == "tensorrt 10.1"
    known["tensorrt-cu13"] = "10.2"
    assert engine.version() == "tensorrt 10.2"
    known["tensorrt"] = "10.3"
    assert engine.version() == "tensorrt 10.3"
    known.clear()
    assert engine.version() == "tensorrt"


class _Own(Worker):
    """A worker that runs a line of Python in place of TensorRT."""

    code = ""

    def __init__(self, backend: str) -> None:
        run = process.subprocess.Popen

        def popen(_: Any, **options: Any) -> Any:
            return run([sys.executable, "-c", self.code], **options)

        process.subprocess.Popen = popen  # type: ignore[misc,assignment]
        try:
            super().__init__(backend)
        finally:
            process.subprocess.Popen = run  # type: ignore[misc]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(process, "Worker", _Own)
    monkeypatch.setattr(process, "_worker", None)

    def start(code: str) -> None:
        monkeypatch.setattr(_Own, "code", code)

    yield start
    process._end()


SERVES = 'import os, sys\nfor line in sys.stdin: print(\'{{"pid": %d, "peak_kb": {}}}\' % os.getpid(), flush=True)'


@pytest.mark.parametrize(("peak", "kept"), [(3_000_000, True), (3_000_001, False)])
def test_process_is_kept_until_it_has_grown(own: Any, peak: int, kept: bool) -> None:
    own(SERVES.format(peak))
    first, second = (process.ask("a", {}, 20.0) for _ in range(2))
    assert list(first) == ["pid"]
    assert (first == second) is kept
    assert (process._worker is not None) is kept


def test_a_process_that_was_started_before_it_is_asked_is_the_one_that_answers(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(SERVES.format(1))
    monkeypatch.setattr(engine, "backend", lambda: "a")
    engine.start()
    started = process._worker.process.pid
    assert process.ask("a", {}, 20.0) == {"pid": started}


def test_starting_where_tensorrt_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_worker", None)
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    engine.start()
    assert process._worker is None


def test_another_backend_is_another_process(own: Any) -> None:
    own(SERVES.format(1))
    first, other, again = (process.ask(name, {}, 20.0)["pid"] for name in ("a", "b", "b"))
    assert first != other == again
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_last_words_of_a_crash_and_the_limit_are_told(own: Any) -> None:
    own("import sys; sys.stdin.readline(); print('one\\ntwo', file=sys.stderr); sys.exit(7)")
    with pytest.raises(Ended, match=r"^TensorRT's process ended with code 7: two$") as crashed:
        process.ask("a", {}, 20.0)
    assert (crashed.value.kind, process._worker) == ("CRASH", None)
    own("import sys; sys.stdin.readline(); sys.exit(3)")
    with pytest.raises(Ended, match=r"^TensorRT's process ended with code 3$"):
        process.ask("a", {}, 20.0)
    own("import time; time.sleep(60)")
    with pytest.raises(Ended, match="did not answer within 1 s and was stopped") as hung:
        process.ask("a", {}, 1.0)
    assert hung.value.kind == "TIMEOUT"
    assert 1.0 <= hung.value.seconds < 20


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("raise ImportError('libcuda.so.1: cannot open shared object file')", "libcuda.so.1: cannot open"),
        (
            "def Builder(logger): raise TypeError('factory function returned nullptr')",
            "factory function returned nullptr",
        ),
        (
            "def Builder(logger): logger.log(Warning, 'CUDA initialization failure: 35')",
            "CUDA initialization failure: 35",
        ),
    ],
)
def test_installed_library_that_cannot_run_here(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, reason: str
) -> None:
    """Full TensorRT without a GPU has no builder; that is no answer about the model."""
    stand_in = f"class ILogger:\n    pass\nclass Warning:\n    name = 'WARNING'\n{library}\n"
    (tmp_path / "tensorrt.py").write_text(stand_in)
    monkeypatch.setenv("SURGEON_TENSORRT", "tensorrt")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(process, "_worker", None)
    with pytest.raises(MissingBackend, match="is installed but cannot run here: ") as told:
        engine.build(model)
    assert reason in str(told.value)
    with pytest.raises(MissingBackend):
        engine.parse(model)
    assert reason in engine.unusable()
    (skipped,) = check_tensorrt(model, None)
    assert (skipped.status, skipped.figures) == ("skip", {"missing": True})
    with pytest.raises(MissingBackend):
        check_tensorrt(model, None, wanted=True)


def test_usable_library_has_nothing_against_it() -> None:
    if not engine.available():
        pytest.skip("TensorRT is not installed")
    assert engine.unusable() == ""
