"""Mutated models: fixed, or refused in one line; never a traceback, a hang, or a file left half-written."""

from __future__ import annotations

import time
from pathlib import Path

import onnx
import pytest

import surgery
from tests.surgery.fuzz.mutants import mutant
from verify.errors import SurgeonError

SECONDS = 30


def outcome(seed: int, folder: Path) -> str:
    """What became of one mutant: "fixed", or the kind of refusal."""
    source, target = folder / "in.onnx", folder / "out.onnx"
    source.write_bytes(mutant(seed))
    target.unlink(missing_ok=True)
    started, message = time.monotonic(), ""
    try:
        surgery.fix(source, target)
        onnx.load(target, load_external_data=False)
        result = "fixed"
    except SurgeonError as error:
        message, result = str(error).strip(), type(error).__name__
    if result != "fixed":
        assert "\n" not in message, f"seed {seed}: {message}"
        assert not target.exists(), f"seed {seed}: something was written"
    assert time.monotonic() - started < SECONDS, f"seed {seed}: took too long"
    left = {path.name for path in folder.iterdir()} - {"in.onnx", "out.onnx"}
    assert not left, f"seed {seed}: left {left}"
    return result


def test_a_few_mutants(tmp_path: Path) -> None:
    results = [outcome(seed, tmp_path) for seed in range(90)]
    assert results.count("fixed") > 10
    assert results.count("SurgeonError") > 5


@pytest.mark.slow
@pytest.mark.parametrize("block", range(25))
def test_thousands_of_mutants(block: int, tmp_path: Path) -> None:
    for seed in range(100 * block, 100 * block + 100):
        outcome(seed, tmp_path)
