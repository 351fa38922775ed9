"""Two sets of tensors side by side: error statistics for each, and limits that can be applied again to saved ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Edges of the error histogram, in parts of the expected tensor's RMS: four bins a decade, the first from zero.
EDGES = (0.0, *(10.0 ** (step / 4) for step in range(-36, 13)))


@dataclass(frozen=True)
class Limits:
    """What a tensor's statistics may be at most (`cosine`: at least). None asks nothing.

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


def compare(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Statistics of every tensor named in either mapping, as plain JSON types.

    A tensor that only one side has gets `{"problem": "..."}`; so does one whose shape or kind of dtype differs.
    """
    names = list(dict.fromkeys([*expected, *actual]))
    return {name: _compare_one(actual.get(name), expected.get(name)) for name in names}


def _compare_one(actual: Any, expected: Any) -> dict[str, Any]:
    if actual is None or expected is None:
        return {"problem": "missing" if actual is None else "not expected"}
    if isinstance(actual, list) or isinstance(expected, list):
        return _compare_sequences(actual, expected)
    return tensor_statistics(actual, expected)


def _compare_sequences(actual: Any, expected: Any) -> dict[str, Any]:
    if not isinstance(actual, list) or not isinstance(expected, list) or len(actual) != len(expected):
        return {"problem": "sequences of different length"}
    parts = [tensor_statistics(a, e) for a, e in zip(actual, expected, strict=True)]
    return max(parts, key=lambda part: ("problem" in part, part.get("max_rel", 0.0)), default={"elements": 0})


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

    finite = np.isfinite(actual) & np.isfinite(expected)
    nan = np.isnan(actual) != np.isnan(expected)
    infinite = (np.isinf(actual) | np.isinf(expected)) & (actual != expected) & ~nan
    error = np.where(finite, np.abs(np.where(finite, actual, 0.0) - np.where(finite, expected, 0.0)), 0.0)
    a, e = np.where(finite, actual, 0.0), np.where(finite, expected, 0.0)
    count = max(int(finite.sum()), 1)
    rms = math.sqrt(float(np.sum(e * e)) / count) or 1.0
    worst = np.unravel_index(int(np.argmax(error)), error.shape) if error.size else ()
    largest = float(error.max(initial=0.0))
    return {
        "elements": int(actual.size),
        "max_abs": largest,
        "mean_abs": float(error.sum()) / count,
        "max_rel": largest / rms,
        "rms_rel": math.sqrt(float(np.sum(error * error)) / count) / rms,
        "cosine": _cosine(a, e),
        "worst": [int(i) for i in worst],
        "nan_mismatch": int(nan.sum()),
        "inf_mismatch": int(infinite.sum()),
        "rms": rms,
        "histogram": histogram(error / rms),
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
    """Share of elements whose error exceeds `threshold` parts of RMS, from the histogram; a bin cut in two counts."""
    bins = statistics["histogram"]
    total = sum(bins["counts"])
    above = sum(n for n, high in zip(bins["counts"], bins["edges"][1:], strict=True) if high > threshold)
    return above / total if total else 0.0


def judge(statistics: Mapping[str, Any], limits: Limits) -> list[str]:
    """What is wrong with one tensor under `limits`, each in a few words; empty when nothing is.

    Works on statistics read back from a JSON report as well as on fresh ones.
    """
    if "problem" in statistics:
        return [str(statistics["problem"])]
    wrong = [
        f"{statistics[key]} elements are {what} on one side only"
        for key, what in (("nan_mismatch", "NaN"), ("inf_mismatch", "infinite"))
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
