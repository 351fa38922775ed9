"""Tolerances of a golden's outputs: measured when the golden is recorded, and stored in it with the reason."""

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


def derive(
    runs: Mapping[str, Mapping[str, Any]],
    dtype: str,
    peak: float = 1.0,
    atol: float = 0.0,
    extreme: Sequence[str] = (),
) -> dict[str, Any]:
    """Tolerance of one tensor from the statistics of repeated runs against the recorded one, by what was varied.

    Keys: `max_rel`, `rms_rel`, `block` (allowed at most), `noise` (measured, the largest of each), `reason`.
    `peak` is the tensor's largest magnitude in parts of its RMS: a rounding step there is so much larger. Of a tensor
    that is bounded by 1 (a probability) `atol` is an absolute error that is no error, however small the tensor is.
    What the runs called `extreme` change is more than rounding could, so that it counts a quarter.
    A tensor of whole numbers that came out the same every time must stay so. A tensor of few distinct values also
    gets `flips`: how many elements may be another of these values.
    """
    counted = [(run, 4.0 if name in extreme else 1.0) for name, run in runs.items() if not negligible(run, atol)]
    noise = {key: max((float(run[key]) / of for run, of in counted if key in run), default=0.0) for key in FIGURES}
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
    return {**allowed, **({"atol": atol} if atol else {}), "noise": noise, "reason": reason}


def negligible(statistics: Mapping[str, Any], atol: float) -> bool:
    """Whether every error is at most `atol`, and there are no NaN, infinity or flip mismatches."""
    if not atol or judge(statistics, Limits(max_abs=atol)) or statistics.get("flips") or "rms_rel" not in statistics:
        return False
    return bool(statistics["rms_rel"] * statistics["rms"] <= atol)


def exceeded(statistics: Mapping[str, Any], tolerance: Mapping[str, Any], scale: float = 1.0) -> list[str]:
    """What exceeds the tolerance times `scale`, in a few words each; empty if nothing does."""
    if negligible(statistics, scale * tolerance.get("atol", 0.0)):
        return []
    limits = Limits(max_rel=scale * tolerance["max_rel"], rms_rel=scale * tolerance["rms_rel"])
    return exceeded_limits(statistics, tolerance, limits, scale)


def exceeded_limits(
    statistics: Mapping[str, Any], tolerance: Mapping[str, Any], limits: Limits, scale: float = 1.0
) -> list[str]:
    """What is wrong with one tensor under `limits`; flips, blocks and channels follow the tolerance times `scale`.

    Errors of blocks and channels may be as much larger than the tolerance as `limits` are.
    """
    wrong = judge(statistics, limits)
    loosened = max(scale, _times(limits, tolerance))
    allowed = loosened * tolerance["block"]
    if not wrong and not statistics.get("block", 0.0) <= allowed:
        wrong = [f"sums over a block off by {statistics['block']:.2g}, allowed {allowed:.2g}"]
    if not wrong and not statistics.get("channel", 0.0) <= loosened:
        error, times = statistics["channel_error"], statistics["channel"] / loosened
        return [f"{statistics['channel_at']} off by {error:.2g} of its RMS, {times:.2g} times what is allowed"]
    if statistics.get("flips", 0) > scale * tolerance.get("flips", 0.0):
        share = statistics["flips"] / statistics["elements"]
        wrong.append(
            f"{share:.2%} of elements flipped to another value, allowed {tolerance.get('flips', 0.0):.0f} in all"
        )
        return wrong
    if wrong and statistics.get("worst") and "problem" not in statistics:
        wrong[-1] += f"; worst at {_place(statistics['worst'])}"
    return wrong


def _times(limits: Limits, tolerance: Mapping[str, Any]) -> float:
    """The errors that the limits allow, divided by the tolerance."""
    times = [0.0]
    if limits.rms_rel is not None:
        times.append(limits.rms_rel / (tolerance["rms_rel"] or 1.0))
    if limits.max_rel is not None:
        times.append(limits.max_rel / (tolerance["max_rel"] or 1.0))
    if limits.cosine is not None:  # the distance of two vectors of equal length that have this cosine
        times.append(math.sqrt(2.0 * max(1.0 - limits.cosine, 0.0)) / (tolerance["rms_rel"] or 1.0))
    return max(times)


def _place(worst: str | Sequence[int]) -> str:
    return worst if isinstance(worst, str) else str(list(worst))
