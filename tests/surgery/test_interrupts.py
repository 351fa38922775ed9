"""Ctrl-C ends the work wherever it is raised, also where Python drops exceptions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import parser

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process")

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[2, 4] x) => (float[2, 4] y) { a = Identity(x) y = Neg(a) }'
# The signal comes as the model is written: in a callback, or below a library that catches every exception.
INTERRUPTED = """
import os, signal, weakref
from surgery.files.model_file import Pending
class Thing: pass
def send(*_):
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass
def drop():
    thing = Thing()
    kept = weakref.ref(thing, send)
    del thing
def catch():
    try:
        send()
    except BaseException:
        pass
def interrupted(*given):
    Pending.write = write
    {how}()
    write(*given)
write, Pending.write = Pending.write, interrupted
from surgery.cli import main
main()
"""


@pytest.mark.parametrize(("how", "debug"), [("drop", ""), ("drop", "1"), ("catch", "")])
def test_a_dropped_interrupt_writes_nothing(tmp_path: Path, how: str, debug: str) -> None:
    onnx.save(parser.parse_model(TEXT), tmp_path / "m.onnx")
    call = [sys.executable, "-c", INTERRUPTED.format(how=how), "fix", "m.onnx"]
    environment = {**os.environ, "SURGEON_DEBUG": debug}
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "surgeon: interrupted; nothing was left half-written"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
