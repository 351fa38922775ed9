"""Seconds until the command line answers, and for a verify whose answer is kept."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(arguments: list[str], cache: str, repeats: int = 5) -> float:
    """Median wall time of `surgeon` with these arguments in a fresh process, its answers kept in the folder `cache`."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        command = [sys.executable, "-m", "surgery", *arguments]
        subprocess.run(command, capture_output=True, check=False, env={**os.environ, "SURGEON_CACHE": cache})
        times.append(time.perf_counter() - started)
    return round(statistics.median(times), 3)


def measure(model: Path) -> dict[str, float]:
    """`--help`, the first verify of a model, and the same verify again."""
    with tempfile.TemporaryDirectory() as cache:
        first = seconds(["verify", str(model)], cache, repeats=1)
        again = seconds(["verify", str(model)], cache)
        return {"help": seconds(["--help"], cache), "verify_first": first, "verify_again": again}
