"""A library that dies in `surgeon fix` or `golden record` takes one model along at most, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # noqa: F401  its threads forbid a fork of this process
import pytest
from onnx import parser

import surgery
from surgery.isolated import Died, run_isolated
from verify.errors import SurgeonError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[2, 4] x) => (float[2, 4] y) { a = Identity(x) y = Neg(a) }'
DYING = """
import os, signal, time
from verify.run import session
def die(model, *_):
    if {word} in (open(model, "rb").read() if isinstance(model, (str, os.PathLike)) else model.SerializeToString()):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(60)
    return ready(model, *_)
ready, session.ready = session.ready, die
from surgery.cli import main
main()
"""


@pytest.fixture(autouse=True)
def quick_isolation() -> None:
    """Each call starts a Python, as for users."""


def surgeon(folder: Path, *arguments: str, cause: str, word: bytes = b"") -> tuple[int, str, str]:
    """`surgeon` with an onnxruntime that dies of models with `word` in them: exit code, output, errors."""
    call = [sys.executable, "-c", DYING.format(signal=cause, word=word), *arguments]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def write(path: Path) -> Path:
    onnx.save(parser.parse_model(TEXT), path)
    return path


@pytest.mark.parametrize("cause", ["SIGSEGV", "SIGFPE", "SIGABRT"])
def test_onnx_reference_compares_where_onnxruntime_dies(tmp_path: Path, cause: str) -> None:
    write(tmp_path / "m.onnx")
    code, said, errors = surgeon(tmp_path, "fix", "m.onnx", cause=cause)
    assert (code, errors) == (0, "")
    assert "parity: equal bit for bit on 3 sets of inputs (onnx.reference) and on 6 edge cases" in said
    assert f"onnxruntime: crashed while it loaded or ran the original ({cause}); onnx.reference in its place" in said
    assert [node.op_type for node in onnx.load(tmp_path / "m.fixed.onnx").graph.node] == ["Neg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.fixed.onnx", "m.onnx"]


def test_a_crash_names_the_model_that_onnxruntime_died_of(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx")
    code, said, errors = surgeon(tmp_path, "fix", "m.onnx", cause="SIGSEGV", word=b"Neg/y")
    assert (code, errors) == (0, "")
    assert "onnxruntime: crashed while it loaded or ran the result (SIGSEGV); onnx.reference in its place" in said


def test_a_process_killed_from_outside_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx")
    code, said, errors = surgeon(tmp_path, "fix", "m.onnx", cause="SIGKILL")
    assert (code, said) == (2, "")
    why = "its process was ended (SIGKILL), most likely because memory ran out; nothing was written"
    assert errors == f"surgeon: m.onnx: {why}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


class Odd(Exception):
    """Cannot be made from its `args`."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def fail() -> None:
    raise Odd("this", "that")


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the calls of a test fork, whatever other tests have imported."""
    monkeypatch.setattr("surgery.isolated.THREADED", set())


@pytest.mark.usefixtures("forking")
def test_any_error_comes_back() -> None:
    with pytest.raises(RuntimeError, match="Odd: this that"):
        run_isolated(fail)


@pytest.mark.usefixtures("forking")
def test_where_no_process_can_start_no_other_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: (_ for _ in ()).throw(BlockingIOError("no more processes")))
    with pytest.raises(BlockingIOError):
        run_isolated(fail)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_crash_beside_threads_is_an_error_of_the_caller() -> None:
    with pytest.raises(Died, match=r"a library died of it \(SIGABRT\)"):
        run_isolated(os.abort)
    with pytest.raises(RuntimeError, match="Odd: this that"):
        run_isolated(fail)


def test_fix_from_python_in_a_process_of_its_own(tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx")
    inside, outside = tmp_path / "inside.onnx", tmp_path / "outside.onnx"
    inputs = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
    here = surgery.fix(model, inside, check_inputs=inputs)
    there = surgery.fix(model, outside, check_inputs=inputs, isolated=True)
    assert inside.read_bytes() == outside.read_bytes()
    assert [check.message for check in here.checks[1:]] == [check.message for check in there.checks[1:]]
    assert [finding.code for finding in here.findings] == [finding.code for finding in there.findings]


def test_errors_of_fix_come_back_from_its_process(tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx")
    with pytest.raises(SurgeonError, match=r"nowhere\.onnx"):
        surgery.fix(tmp_path / "nowhere.onnx", tmp_path / "out.onnx", isolated=True)
    with pytest.raises(SurgeonError, match="isolated"):
        surgery.fix(model, tmp_path / "out.onnx", isolated="yes")  # type: ignore[arg-type]
    with pytest.raises(SurgeonError, match="cannot be sent to a process of its own"):
        surgery.fix(model, tmp_path / "out.onnx", set_inputs={"x": lambda: 0}, isolated=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_nothing_is_recorded_of_a_model_that_onnxruntime_dies_of(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx")
    code, said, errors = surgeon(tmp_path, "golden", "record", "m.onnx", cause="SIGFPE")
    assert (code, said) == (2, "")
    assert errors.startswith("surgeon: m.onnx: a library died of it (SIGFPE); nothing was recorded")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["m.onnx"]


def test_other_models_are_fixed_all_the_same(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.onnx")
    model = onnx.load(tmp_path / "b.onnx")
    model.graph.node[1].op_type = "Abs"
    onnx.save(model, tmp_path / "b.onnx")
    code, said, errors = surgeon(tmp_path, "fix", "a.onnx", "b.onnx", "c.onnx", cause="SIGKILL", word=b"Abs")
    assert code == 2
    assert [line.split(":")[1] for line in errors.splitlines()] == [" b.onnx"]
    assert said.count("parity: equal bit for bit") == 2
    assert {path.name for path in tmp_path.glob("*fixed*")} == {"a.fixed.onnx", "c.fixed.onnx"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_who_kills_the_command_ends_what_it_started(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx")
    call = [sys.executable, "-c", DYING.format(signal="SIGSTOP", word=b""), "fix", "m.onnx"]
    running = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE)
    assert running.stdout is not None
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".*.tmp")) and time.monotonic() < until:
        time.sleep(0.05)
    running.kill()
    assert running.stdout.read() == b""  # ends when nobody holds the other end
    assert running.wait() == -signal.SIGKILL
