"""A folder that was written, run with an emulated trtexec by its own run.sh, and can be broken in between."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.verify.device import emulator_server

Surgeon = Callable[..., tuple[int, str, str]]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Text of a program `trtexec`; the emulator behind it has imported its libraries once for all runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/trtexec.socket"
        command = [sys.executable, emulator_server.__file__, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield emulator_server.client(path)
            server.terminate()


@pytest.fixture
def run_script(tmp_path: Path, emulator: str) -> RunScript:
    """Run FOLDER/run.sh with `trtexec` of a version on PATH, as on a machine without this Python."""
    commands = tmp_path / "commands"
    commands.mkdir()
    trtexec = commands / "trtexec"
    trtexec.write_text(emulator, encoding="utf-8")
    trtexec.chmod(0o755)

    def run(folder: Path, version: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        variables = {"PATH": f"{commands}:/usr/bin:/bin", "EMULATED_TENSORRT": version, "EMULATED_FAULT": fault}
        return subprocess.run(
            ["sh", str(folder / "run.sh")],
            cwd=os.sep,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
