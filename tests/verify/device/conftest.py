"""A folder that was written, run with an emulated trtexec by its own run.sh, and can be broken in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EMULATOR = Path(__file__).parent / "trtexec_emulator.py"
Surgeon = Callable[..., tuple[int, str, str]]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run FOLDER/run.sh with `trtexec` of a version on PATH, as on a machine without this Python."""
    commands = tmp_path / "commands"
    commands.mkdir()
    trtexec = commands / "trtexec"
    trtexec.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{EMULATOR}" "$@"\n', encoding="utf-8")
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
