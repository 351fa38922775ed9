"""How far a tensor may lie from its golden: measured when the golden is recorded, stored beside it with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from verify.compare.statistics import Limits, judge

FIGURES = ("max_rel", "rms_rel", "block")
FACTOR = 8.0
# Rounding steps of the output's own type that are always allowed, whatever was measured.
STEPS = 8.0
# Share of the elements of a mask or class map that may always flip, because some lie on the edge.
FLIPS = 1e-5
STEP = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def derive(runs: Mapping[str, Mapping[str, Any]], dtype: str, peak: float = 1.0) -> dict[str, Any]:
    """Tolerance of one tensor from the statistics of repeated runs against the recorded one, by what was varied.

    Keys: `max_rel`, `rms_rel`, `block` (allowed at most), `noise` (measured, the largest of each), `reason`.
    `peak` is the tensor's largest magnitude in parts of its RMS: a rounding step there is so much larger.
    A tensor of whole numbers that came out the same every time must stay so. A tensor of few distinct values also
    gets `flips`: how many elements may be another of these values.
    """
    noise = {key: max((float(run[key]) for run in runs.values() if key in run), default=0.0) for key in FIGURES}
    step = STEPS * STEP.get(dtype, 0.0)
    floor = {key: step * max(peak, 1.0) if key == "max_rel" else step for key in FIGURES}
    kind = f"; at least {STEPS:.0f} rounding steps of {dtype}" if step else ""
    source = max(runs, key=lambda name: float(runs[name].get("rms_rel", 0.0)), default="nothing")
    most = f"most from: {source}" if any(noise.values()) else "none"
    reason = f"{FACTOR:.0f} times the largest difference among {', '.join(runs)} ({most}){kind}"
    allowed = {key: max(FACTOR * noise[key], floor[key]) for key in FIGURES}
    flips = [run for run in runs.values() if "flips" in run]
    if flips:
        noise["flips"] = max(float(run["flips"]) for run in flips)
        allowed["flips"] = max(FACTOR * noise["flips"], math.ceil(FLIPS * int(flips[0]["elements"])))
        reason += f"; {FLIPS:g} of the elements may be on the edge between two values"
    return {**allowed, "noise": noise, "reason": reason}


def exceeded(statistics: Mapping[str, Any], tolerance: Mapping[str, Any], scale: float = 1.0) -> list[str]:
    """What is wrong with one tensor, in a few words each; empty when it is within tolerance times `scale`."""
    wrong = judge(statistics, Limits(max_rel=scale * tolerance["max_rel"], rms_rel=scale * tolerance["rms_rel"]))
    allowed = scale * tolerance["block"]
    if not wrong and not statistics.get("block", 0.0) <= allowed:
        wrong = [f"sums over a block off by {statistics['block']:.2g}, allowed {allowed:.2g}"]
    if statistics.get("flips", 0) > scale * tolerance.get("flips", 0.0):
        share = statistics["flips"] / statistics["elements"]
        wrong.append(
            f"{share:.2%} of elements flipped to another value, allowed {tolerance.get('flips', 0.0):.0f} in all"
        )
        return wrong
    if wrong and statistics.get("worst") and "problem" not in statistics:
        wrong[-1] += f"; worst at {_place(statistics['worst'])}"
    return wrong


def _place(worst: str | Sequence[int]) -> str:
    return worst if isinstance(worst, str) else str(list(worst))
