"""The memory bank in C++ gives memory attention what the Python one gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.tracking.bank import Bank, attention_inputs

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "cpp_tracker"
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
SIDE, FRAMES = 2, 20


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_cpp_bank_gives_the_same_inputs(tmp_path: Path) -> None:
    assert COMPILER is not None
    program = tmp_path / "print_inputs"
    source = str(EXAMPLE / "print_inputs.cpp")
    subprocess.run([COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", source, "-o", str(program)], check=True)

    rng = np.random.default_rng(1)
    positions, temporal = (rng.standard_normal(n, np.float32) for n in ((SIDE * SIDE, 64), (7, 1, 1, 64)))
    frames = [
        (rng.standard_normal((64, SIDE, SIDE), np.float32), rng.standard_normal(256, np.float32)) for _ in range(FRAMES)
    ]
    parts = [np.array([SIDE, FRAMES], np.float32), positions, temporal, *(part for frame in frames for part in frame)]
    given = b"".join(part.tobytes() for part in parts)
    got = subprocess.run([str(program)], input=given, capture_output=True, check=True).stdout

    bank, wanted = Bank(0, "float32"), b""
    for number, (memory, pointer) in enumerate(frames, 1):
        bank.remember(memory, pointer)
        made = attention_inputs([bank], number, positions, temporal)
        order = ("memory_0", "memory_1", "memory_pos_embed", "cond_frame_id_diff")
        wanted += b"".join(np.ascontiguousarray(made[name], np.float32).tobytes() for name in order)
    assert got == wanted
