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
SIDE = 2
PROMPTED = (0, 3, 20)  # the second is more than 15 frames old at the end, the third is not


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize("frames", [20, 40])
def test_cpp_bank_gives_the_same_inputs(tmp_path: Path, frames: int) -> None:
    assert COMPILER is not None
    program = tmp_path / "print_inputs"
    source = str(EXAMPLE / "print_inputs.cpp")
    subprocess.run([COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", source, "-o", str(program)], check=True)

    rng = np.random.default_rng(1)
    prompted = (0,) if frames == 20 else PROMPTED
    positions, temporal = (rng.standard_normal(n, np.float32) for n in ((SIDE * SIDE, 64), (7, 1, 1, 64)))
    given = [np.array([SIDE, frames], np.float32), positions, temporal]
    bank, wanted = Bank("float32"), b""
    for frame in range(frames):
        memory, pointer = rng.standard_normal((64, SIDE, SIDE), np.float32), rng.standard_normal(256, np.float32)
        given += [np.array([frame in prompted], np.float32), memory, pointer]
        bank.remember(frame, memory, pointer, prompted=frame in prompted)
        made = attention_inputs([bank], frame + 1, positions, temporal)
        order = ("memory_0", "memory_1", "memory_pos_embed", "cond_frame_id_diff")
        wanted += b"".join(np.ascontiguousarray(made[name], np.float32).tobytes() for name in order)
    sent = b"".join(part.tobytes() for part in given)
    assert subprocess.run([str(program)], input=sent, capture_output=True, check=True).stdout == wanted
