"""The times that trtexec wrote: of each layer in profile.json, and of each query in times.json."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from verify.errors import SurgeonError

# Names are not escaped in this file, so it may not be valid JSON; older versions write no median.
ROW = re.compile(r'\{ *"name" *: *"(.*?)", *"timeMs" *: *([^ ,]+) *, *"averageMs" *: *([^ ,]+) *,')


@dataclass(frozen=True)
class ProfileRow:
    """One layer of profile.json with its mean time in milliseconds."""

    name: str
    milliseconds: float


@dataclass(frozen=True)
class Times:
    """Times of the queries of a run, in milliseconds: GPU compute, and the whole query with transfers."""

    queries: int
    compute_median: float
    compute_99: float
    latency_median: float


def read_profile(path: Path) -> list[ProfileRow]:
    """The rows of profile.json.

    Raises:
        SurgeonError: it cannot be read, is cut short, or has no layer.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace").rstrip()
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    rows = [ProfileRow(name, float(average)) for name, _, average in ROW.findall(text)]
    if not rows or not text.endswith("]") or text.count('"averageMs"') != len(rows):
        raise SurgeonError(f"{path}: not what trtexec --exportProfile writes, or cut short")
    return rows


def read_times(path: Path) -> Times:
    """The times in times.json.

    Raises:
        SurgeonError: it cannot be read or is cut short.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        compute = sorted(float(row["computeMs"]) for row in rows)
        latency = [float(row["latencyMs"]) for row in rows]
        last = compute[max(len(compute) - 1 - int(0.01 * len(compute)), 0)]
        return Times(len(compute), statistics.median(compute), last, statistics.median(latency))
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise SurgeonError(f"{path}: not what trtexec --exportTimes writes, or cut short") from None
