"""`surgeon fix` on several models at a time: the same results, in order, and one end for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from surgery.cli.parallel import LARGE, MOST, WORTH_IT, jobs_for, run_parallel

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[2, 4] x) => (float[2, 4] y) { a = Identity(x) y = Neg(a) }'


def surgeon(*arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "surgery", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)


def write(path: Path, text: str = TEXT) -> Path:
    onnx.save(parser.parse_model(text), path)
    return path


def sized(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_results_come_in_the_order_of_the_models(tmp_path: Path) -> None:
    models = [write(tmp_path / f"{name}.onnx") for name in "dacb"]
    (tmp_path / "out").mkdir()
    run = surgeon("fix", *models, "-o", tmp_path / "out", "-j", 2, "--format", "json")
    assert run.returncode == 0, run.stderr
    assert [report["model"] for report in json.loads(run.stdout)["reports"]] == [str(model) for model in models]
    for model in models:
        assert [node.op_type for node in onnx.load(tmp_path / "out" / model.name).graph.node] == ["Neg"]


def test_what_goes_wrong_with_one_is_said_of_that_one(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.onnx"), tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    run = surgeon("fix", bad, good, tmp_path / "none.onnx", "-j", 3)
    assert run.returncode == 2
    assert [line.split(": ")[1] for line in run.stderr.splitlines()] == [str(bad), str(tmp_path / "none.onnx")]
    assert "Traceback" not in run.stderr
    assert (tmp_path / "good.fixed.onnx").is_file()
    assert not (tmp_path / "bad.fixed.onnx").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to one process")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "surgeon: interrupted; nothing was left half-written"), (signal.SIGTERM, 143, "")],
)
def test_a_signal_to_the_first_process_ends_all(tmp_path: Path, number: int, code: int, words: str, jobs: int) -> None:
    models = [tmp_path / f"{name}.onnx" for name in "ab"[:jobs]]
    for path in models:
        save_slow(path)
    call = [sys.executable, "-m", "surgery", "fix", *map(str, models), "-j", str(jobs)]
    running = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".*.tmp")) and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(number)
    started = time.monotonic()
    _, said = running.communicate(timeout=60)
    assert running.returncode == code
    assert said.strip() == words
    assert sorted(tmp_path.iterdir()) == models
    assert time.monotonic() - started < 30


def _interrupted(folders: list[Path]) -> None:
    with run_parallel(os.mkdir, [(str(folder),) for folder in folders], 2):
        time.sleep(0.05)  # the calls are given out by now, but no process runs one yet
        raise KeyboardInterrupt


def test_no_call_begins_after_an_interrupt(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    with pytest.raises(KeyboardInterrupt):
        _interrupted(folders)
    assert not any(folder.exists() for folder in folders)


def save_slow(path: Path) -> None:
    """A model that runs for minutes, with a node too many."""
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[2000, 2000] x) => (float[2000, 2000] y) {
        n = Constant<value = int64 {100000}>()  go = Constant<value = bool {1}>()  a = Identity(x)
        y = Loop(n, go, a) <body = b (int64 i, bool c, float[2000, 2000] s) => (bool d, float[2000, 2000] e) {
          d = Identity(c)  m = MatMul(s, s)  e = Tanh(m) }> }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(WORTH_IT // 4, "f"), "ballast"))
    onnx.save(model, path)


def test_how_many_at_a_time(tmp_path: Path) -> None:
    small = [sized(tmp_path / f"s{place}", 10) for place in range(3)]
    some = [sized(tmp_path / f"m{place}", WORTH_IT) for place in range(9)]
    large = sized(tmp_path / "l", LARGE + 1)
    assert jobs_for(small, None) == 1
    assert jobs_for([*small, some[0]], None) == 1
    assert jobs_for(some, None) == min(os.cpu_count() or 1, MOST)
    assert jobs_for([*some, large], None) == 1
    assert jobs_for([*some, large], 3) == 3
    assert jobs_for(small, 7) == 3
    assert jobs_for([tmp_path / "none"], None) == 1
