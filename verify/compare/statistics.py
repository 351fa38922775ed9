"""Error statistics of a tensor, and limits for them; both can be saved and applied again later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verify.compare.error import measure

# Edges of the histogram of error / RMS of the expected tensor: four bins a decade, the first from zero.
EDGES = (0.0, *(10.0 ** (step / 4) for step in range(-36, 13)))


@dataclass(frozen=True)
class Limits:
    """What a tensor's statistics may be at most (`cosine`: at least). None sets no limit.

    max_abs, mean_abs  absolute error
    max_rel, rms_rel   largest and RMS error, in parts of the expected tensor's RMS
    cosine             smallest cosine between the two
    share_above        (threshold in parts of RMS, share of elements that may lie above it)
    """

    max_abs: float | None = None
    mean_abs: float | None = None
    max_rel: float | None = None
    rms_rel: float | None = None
    cosine: float | None = None
    share_above: tuple[float, float] | None = None


def tensor_statistics(actual: Any, expected: Any) -> dict[str, Any]:
    """Statistics of the error of one tensor.

    Keys: shape, dtype, elements, max_abs, mean_abs, max_rel, rms_rel, cosine, worst (index of the largest error),
    nan_mismatch and inf_mismatch (elements that are so on one side only, or of the other sign), histogram (of the
    error in parts of RMS). Errors are taken over elements finite on both sides. RMS is that of `expected`; where it
    is zero the relative figures are the absolute ones. `problem` is there when the tensors cannot be compared.
    """
    import numpy as np

    actual, expected = np.asarray(actual), np.asarray(expected)
    head = {"shape": list(actual.shape), "dtype": str(actual.dtype)}
    if actual.shape != expected.shape:
        return {**head, "problem": f"shape {list(actual.shape)} instead of {list(expected.shape)}"}
    if actual.dtype != expected.dtype:
        return {**head, "problem": f"dtype {actual.dtype} instead of {expected.dtype}"}
    if actual.dtype.kind in "OSU":
        wrong = int(np.sum(actual != expected))
        return {**head, "elements": actual.size, **({"problem": f"{wrong} strings differ"} if wrong else {})}
    return head | error_statistics(actual.astype(np.float64), expected.astype(np.float64))


def error_statistics(actual: Any, expected: Any) -> dict[str, Any]:
    """The figures of `tensor_statistics` for two float64 arrays of one shape."""
    import numpy as np

    error = measure(actual, expected)
    a, e = np.where(error.finite, actual, 0.0), np.where(error.finite, expected, 0.0)
    worst = np.unravel_index(int(np.argmax(error.gaps)), error.gaps.shape) if error.gaps.size else ()
    return {
        "elements": int(actual.size),
        "max_abs": float(error.gaps.max(initial=0.0)),
        "mean_abs": float(error.gaps.sum()) / max(error.count, 1),
        "max_rel": error.largest,
        "rms_rel": error.root_mean_square,
        "cosine": _cosine(a, e),
        "worst": [int(i) for i in worst],
        "nan_mismatch": error.nan_mismatch,
        "inf_mismatch": error.inf_mismatch,
        "rms": error.rms,
        "histogram": histogram(error.gaps / error.rms),
    }


def _cosine(a: Any, e: Any) -> float:
    import numpy as np

    lengths = math.sqrt(float(np.sum(a * a)) * float(np.sum(e * e)))
    if lengths == 0.0:
        return 1.0 if bool(np.array_equal(a, e)) else 0.0
    return max(-1.0, min(1.0, float(np.sum(a * e)) / lengths))


def histogram(relative: Any) -> dict[str, list[float]]:
    """Counts of errors between `EDGES`, trimmed to the bins in use; the last bin takes what lies beyond."""
    import numpy as np

    counts, _ = np.histogram(np.minimum(relative, EDGES[-1]), np.asarray(EDGES))
    used = np.flatnonzero(counts)
    last = int(used[-1]) + 1 if used.size else 1
    first = int(used[0]) if used.size else 0
    return {"edges": list(EDGES[first : last + 1]), "counts": [int(n) for n in counts[first:last]]}


def share_above(statistics: Mapping[str, Any], threshold: float) -> float:
    """Share of elements whose error exceeds `threshold` parts of RMS.

    It comes from the histogram, where a bin that the threshold cuts counts whole; 0 if the largest error is not above.
    """
    if statistics.get("max_rel", math.inf) <= threshold:
        return 0.0
    bins = statistics["histogram"]
    total = sum(bins["counts"])
    above = sum(n for n, high in zip(bins["counts"], bins["edges"][1:], strict=True) if high > threshold)
    return above / total if total else 0.0


def judge(statistics: Mapping[str, Any], limits: Limits) -> list[str]:
    """The limits that one tensor exceeds, each in a few words; empty if there are none.

    Works on statistics read back from a JSON report as well as on fresh ones.
    """
    if "problem" in statistics:
        return [str(statistics["problem"])]
    wrong = [
        f"{statistics[key]} elements are {what} on one side only"
        for key, what in (("nan_mismatch", "NaN"), ("inf_mismatch", "infinite"), ("fill_mismatch", "a fill"))
        if statistics.get(key)
    ]
    names = {
        "max_abs": "largest error",
        "mean_abs": "mean error",
        "max_rel": "largest error / RMS",
        "rms_rel": "RMS error / RMS",
    }
    for key, words in names.items():
        limit, value = getattr(limits, key), statistics.get(key)
        if limit is not None and value is not None and not value <= limit:
            wrong.append(f"{words} {value:.2g}, allowed {limit:.2g}")
    if limits.cosine is not None and not statistics.get("cosine", 1.0) >= limits.cosine:
        wrong.append(f"cosine {statistics['cosine']:.6f}, at least {limits.cosine:.6f} asked")
    if limits.share_above is not None and "histogram" in statistics:
        threshold, allowed = limits.share_above
        share = share_above(statistics, threshold)
        if share > allowed:
            wrong.append(f"{share:.2%} of elements off by more than {threshold:.2g} RMS, allowed {allowed:.2%}")
    return wrong
