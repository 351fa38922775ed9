"""How far two values of an output differ, and whether that is too far.

After exact passes integers, booleans, text and the places of NaN must be the same, and floats within `EXACT`: kernels
of onnxruntime round the last bit differently by where a buffer lies. After other passes, and in models with half
precision, floats may differ by `CLOSE` times the RMS of the original output plus as much of the value itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.compare.error import largest_float32, measure

CLOSE = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 1e-3, "float64": 1e-6, "complex64": 1e-3, "complex128": 1e-6}
EXACT = {"float64": 1e-14, "complex128": 1e-14}
EXACT_FLOAT32 = 1e-6
ROUNDING = (
    1e-4  # what sums in another order may change: where onnxruntime packs weights, and of shifted eight-bit numbers
)


def difference(wanted: Any, got: Any, exact: bool, half: bool = False, limit: float | None = None) -> tuple[str, float]:
    """What differs ("" for nothing) and the largest float difference relative to the RMS of `wanted`.

    Args:
        wanted, got: values of the original and of the fixed model.
        exact: whether only exact passes were used.
        half: whether the model computes in half precision somewhere.
        limit: what floats may differ by, instead of what `exact` and `half` say.
    """
    if isinstance(wanted, (list, tuple)) or wanted is None or got is None:
        if not isinstance(wanted, (list, tuple)) or not isinstance(got, (list, tuple)):
            return ("" if wanted is None and got is None else "is present in one of the two only"), 0.0
        if len(wanted) != len(got):
            return f"has {len(got)} elements, not {len(wanted)}", 0.0
        parts = [difference(one, other, exact, half, limit) for one, other in zip(wanted, got, strict=True)]
        return next((text for text, _ in parts if text), ""), max((error for _, error in parts), default=0.0)
    if isinstance(wanted, dict):
        return ("" if wanted == got else "differs"), 0.0
    wanted, got = np.asarray(wanted), np.asarray(got)
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        return f"is {got.dtype}{list(got.shape)}, not {wanted.dtype}{list(wanted.shape)}", 0.0
    close = CLOSE.get(wanted.dtype.name)
    if close is None:
        return ("" if np.array_equal(wanted, got) or _same_bits(wanted, got) else "differs"), 0.0
    if limit is None:
        limit = (
            EXACT.get(wanted.dtype.name, EXACT_FLOAT32) if exact else max(close, CLOSE["float16"]) if half else close
        )
    return _near(wanted, got, limit) or _floats(wanted, got, limit)


def without_overflow(wanted: Any, got: Any) -> tuple[Any, int]:
    """`wanted` with the value of `got` where only `wanted` is not finite, and how many such places there are."""
    if not isinstance(wanted, np.ndarray) or wanted.dtype.kind != "f" or getattr(got, "shape", None) != wanted.shape:
        return wanted, 0
    overflowed = ~np.isfinite(wanted) & np.isfinite(got)
    return np.where(overflowed, got, wanted).astype(wanted.dtype), int(overflowed.sum())


def _same_bits(wanted: Any, got: Any) -> bool:
    return wanted.dtype.kind != "O" and bool(wanted.tobytes() == got.tobytes())


def _near(wanted: Any, got: Any, rtol: float) -> tuple[str, float] | None:
    """The answer for float32 values that are finite and lie well within the limit, in a third of the time."""
    if wanted.dtype != np.float32 or not wanted.size:
        return None
    largest, rms = largest_float32(got, wanted)
    if largest == 0.0:
        return "", 0.0
    near = largest < rtol * rms / 2  # float32 sums are good to more than that; false where something is not finite
    return ("", largest / rms) if near else None


def _floats(wanted: Any, got: Any, rtol: float) -> tuple[str, float]:
    if wanted.dtype.kind == "c":
        parts = [_floats(getattr(wanted, part), getattr(got, part), rtol) for part in ("real", "imag")]
        return next((text for text, _ in parts if text), ""), max(error for _, error in parts)
    error = measure(got, wanted)
    if error.nan_mismatch:
        return "has NaN in other places", np.inf
    if error.inf_mismatch:
        return "has infinities in other places", np.inf
    if np.any(error.gaps > rtol * (error.rms + np.abs(wanted.astype(np.float64)))):
        return f"differs by {error.largest:.2g} of its RMS (allowed {rtol:g})", error.largest
    return "", error.largest
