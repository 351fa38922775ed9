"""Hostile and broken input to `surgeon diagnose` and `surgeon rules`: one line, the right exit code, no traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from surgery.cli import main
from tests.surgery.cli.hostile_models import WHOLE, hostile

CASES = list(hostile())


def surgeon(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["surgeon", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def said(capfd: pytest.CaptureFixture[str]) -> str:
    captured = capfd.readouterr()
    text = captured.out + captured.err
    assert "Traceback" not in text
    assert "a bug in surgeon" not in text
    return text


@pytest.mark.parametrize(("name", "data", "codes"), CASES, ids=[name for name, _, _ in CASES])
def test_hostile_file(
    name: str,
    data: bytes,
    codes: set[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    (tmp_path / "data.bin").write_bytes(bytes(8))
    code = surgeon("diagnose", str(path), "--limit", "20", monkeypatch=monkeypatch)
    text = said(capfd)
    assert code in codes, text
    assert text.strip()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.bin", "model.onnx"]
    assert path.read_bytes() == data


USAGE = {
    "no-model": ["diagnose"],
    "missing": ["diagnose", "nothing.onnx"],
    "folder": ["diagnose", "."],
    "shape-words": ["diagnose", "good.onnx", "--input-shape", "x:axb"],
    "shape-name": ["diagnose", "good.onnx", "--input-shape", "nobody:1x2"],
    "format": ["diagnose", "good.onnx", "--format", "xml"],
    "target": ["diagnose", "good.onnx", "--target", "abacus"],
    "limit": ["diagnose", "good.onnx", "--limit", "soon"],
    "html-no-folder": ["diagnose", "good.onnx", "--html", "no/such/folder/page.html"],
    "html-full-disk": ["diagnose", "good.onnx", "--html", "/dev/full"],
    "repro-in-a-file": ["diagnose", "good.onnx", "--repro", "good.onnx/out"],
    "against-nothing": ["diagnose", "good.onnx", "--against", "nothing.onnx"],
    "against-size": ["diagnose", "good.onnx", "--against", "optimized", "--size", "N"],
    "inputs-missing": ["diagnose", "good.onnx", "--against", "optimized", "--inputs", "nothing.npz"],
    "inputs-not-npz": ["diagnose", "good.onnx", "--against", "optimized", "--inputs", "good.onnx"],
    "against-unreadable": ["diagnose", "good.onnx", "--against", "text.onnx"],
    "rules-unknown": ["rules", "SG9999"],
    "rules-words": ["rules", "'; rm -rf /"],
    "rules-format": ["rules", "--format", "xml"],
    "rules-pages-in-a-file": ["rules", "--pages", "good.onnx"],
    "rules-pages-full": ["rules", "--pages", "/dev/full"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_use(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.onnx").write_bytes(WHOLE)
    Path("text.onnx").write_text("hello")
    assert surgeon(*arguments, monkeypatch=monkeypatch) == 2
    assert said(capfd).strip()
    assert Path("good.onnx").read_bytes() == WHOLE


def test_read_only_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0 and not Path("/proc/self").is_dir():
        pytest.skip("root may write anywhere here")
    (tmp_path / "model.onnx").write_bytes(WHOLE)
    target = "/proc/self/page.html"
    assert surgeon("diagnose", str(tmp_path / "model.onnx"), "--html", target, monkeypatch=monkeypatch) == 2
    assert "cannot be written" in said(capfd)


def command() -> list[str]:
    return [shutil.which("surgeon") or sys.executable, *([] if shutil.which("surgeon") else ["-m", "surgery"])]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("arguments", [["rules"], ["rules", "SG001"], ["--version"]], ids=" ".join)
def test_standard_output_on_a_full_disk(arguments: list[str], unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run([*command(), *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left" in line


@pytest.mark.parametrize("arguments", ["rules", "--help"])
def test_reader_that_goes_away(arguments: str) -> None:
    """Exit 141, as of a tool that the signal ended: neither a pass nor a failed check."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as gone:
        done = subprocess.run([*command(), arguments], stdout=gone, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_interrupt_ends_quietly_and_leaves_nothing(tmp_path: Path) -> None:
    from tests.surgery.cli.hostile_models import _parsed

    chain = "".join(f" t{i + 1} = Sin(t{i})" for i in range(20000))
    (tmp_path / "model.onnx").write_bytes(_parsed(f"g (float[2] t0) => (float[2] t20000) {{{chain} }}"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    running = subprocess.Popen(
        [*command(), "diagnose", "model.onnx"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(2.0)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert "Traceback" not in errors
    assert running.returncode == 130
    assert [path.name for path in scratch.iterdir() if path.name.startswith("surgeon")] == []
