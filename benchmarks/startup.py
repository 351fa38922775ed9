"""Seconds until the command line answers, and for a verify whose answer is kept."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(arguments: list[str], repeats: int = 5) -> float:
    """Median wall time of `surgeon` with these arguments in a fresh process."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "surgery", *arguments], capture_output=True, check=False)
        times.append(time.perf_counter() - started)
    return round(statistics.median(times), 3)


def measure(model: Path) -> dict[str, float]:
    """`--help`, the first verify of a model, and the same verify again."""
    first = seconds(["verify", str(model)], repeats=1)
    return {"help": seconds(["--help"]), "verify_first": first, "verify_again": seconds(["verify", str(model)])}
