"""A tensor cut down to what still shows a change: small ones whole, large ones as probes and sums over blocks.

A large tensor is read as flat blocks of up to 16,384 elements. Each block leaves five float64 sums: of its elements,
of their magnitudes, of their squares, and two projections on fixed random weights. The error of a tensor with the
same weights projects to numbers whose mean square is the mean square of the error itself (Johnson and Lindenstrauss,
1984), so that its RMS is known without the tensor, wherever and with whatever signs it changed. 1,024 single elements
are kept beside as probes. A large tensor of few distinct values (a binary mask, a class map) is kept whole: rounding
may flip single elements of it from one value to another, which is counted apart from errors in the values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from verify.compare import channels
from verify.compare.statistics import error_statistics, histogram, tensor_statistics
from verify.inputs.seeded import words

Array = np.ndarray[Any, np.dtype[Any]]

WHOLE = 4096
PROBES = 1024
BLOCKS = 256
LEVELS = 16
FILL_GAP = 1e-3  # others are below this share of the fills
LEAST_FILL = 1e3
DENSE = np.dtype(np.float64)


def pack(array: Array) -> dict[str, Array]:
    """Arrays to store for one tensor: `whole`; or `levels` and `codes`; or `probes`, `sums` [blocks, 5], `special` [3].

    `special` counts NaN, +inf and -inf, which are taken as zero in the rest. Beside `probes` there are `axis1` or other
    axes, with sums of the channels along it (`verify.compare.channels`). Where a few values are far larger than all
    others, such as the fill of a mask, `fill` is the limit between the two, `filled` has one bit for each element above
    it and `fills` the sums of those elements, which are taken as zero in the rest. Types that NumPy files cannot hold
    (bfloat16, 8-bit floats) are stored as float32, which holds them exactly.
    """
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat16", "float8", "float6", "float4")):
        array = array.astype(np.float32)
    if array.size <= WHOLE:
        return {"whole": array.astype(np.str_) if array.dtype.kind == "O" else array}
    flat, special = _finite(array)
    levels = np.unique(flat[:: max(flat.size // WHOLE, 1)])
    if len(levels) <= LEVELS and not special.any():
        levels = np.unique(flat)
        if len(levels) <= LEVELS:
            return {"levels": levels, "codes": np.searchsorted(levels, flat).astype(np.uint8)}
    packed: dict[str, Array] = {}
    limit = fill_limit(flat)
    if limit is not None:
        filled = np.abs(flat) > limit
        packed = {"fill": np.asarray([limit]), "filled": np.packbits(filled), "fills": block_sums(flat * filled)}
        flat = np.where(filled, 0.0, flat)
    packed |= {"probes": flat[probe_places(flat.size)], "sums": block_sums(flat), "special": special}
    rest = flat.reshape(array.shape)
    return packed | {f"axis{axis}": channels.sums(rest, axis) for axis in channels.axes(array.shape)}


def fill_limit(flat: Array) -> float | None:
    """A magnitude between those of fills (all within a factor of two) and all others (below a thousandth of them)."""
    sizes = np.abs(flat[np.isfinite(flat)])
    largest = float(sizes.max(initial=0.0))
    others = sizes[sizes < largest * FILL_GAP]
    below = float(others.max(initial=0.0))
    if largest < LEAST_FILL or below <= 0.0 or bool(((sizes >= largest * FILL_GAP) & (sizes < largest / 2)).any()):
        return None
    return math.sqrt(largest / 2) * math.sqrt(below)


def _finite(array: Array) -> tuple[Array, Array]:
    flat = array.reshape(-1).astype(DENSE)
    special = [np.isnan(flat), np.isposinf(flat), np.isneginf(flat)]
    counts = np.asarray([int(mask.sum()) for mask in special])
    if counts.any():
        flat = np.where(np.isfinite(flat), flat, 0.0)
    return flat, counts


def block_size(count: int) -> int:
    """Elements in a block of a tensor with `count` elements: a power of two from 64 to 16,384, about 256 blocks."""
    return int(min(max(1 << max(count // BLOCKS, 1).bit_length() - 1, 64), 16384))


def weights(size: int) -> Array:
    """Two rows of `size` fixed weights of mean 0 and variance 1; magnitudes are spread so that no two cancel out."""
    bits = words("verify.compact", 2 * size).reshape(2, size)
    magnitude = 0.5 + (bits >> np.uint64(11)).astype(DENSE) / 2.0**53
    sign = np.where(bits & np.uint64(1), 1.0, -1.0)
    weighted: Array = sign * magnitude / math.sqrt(13.0 / 12.0)
    return weighted


def block_sums(flat: Array) -> Array:
    """Sum, sum of magnitudes, sum of squares and two projections of every block: float64 [blocks, 5].

    The last block is filled up with zeros.
    """
    size = block_size(flat.size)
    filled = np.zeros(math.ceil(flat.size / size) * size, DENSE)
    filled[: flat.size] = flat
    blocks = filled.reshape(-1, size)
    plain = [blocks.sum(1), np.abs(blocks).sum(1), np.square(blocks).sum(1)]
    return np.column_stack([*plain, blocks @ weights(size).T])


def probe_places(count: int) -> Array:
    """Indices of the probes: one at a fixed random place in each of 1,024 equal stretches."""
    edges = np.arange(PROBES + 1, dtype=np.int64) * count // PROBES
    offsets = words("verify.compact.probes", PROBES) % (edges[1:] - edges[:-1]).astype(np.uint64)
    return edges[:-1] + offsets.astype(np.int64)


def statistics(actual: Array, shape: tuple[int, ...], dtype: str, packed: Mapping[str, Array]) -> dict[str, Any]:
    """Statistics of the error of `actual` against a packed tensor, in the form of
    `verify.compare.statistics.tensor_statistics`.

    For a large tensor `rms_rel` and `cosine` are estimates over all elements, `max_rel`, `max_abs`, `mean_abs` and the
    histogram are those of the probes, `worst` is the range of indices of the block that is furthest off, and `block`
    its largest deviation: of a sum in parts of RMS * sqrt(block size), of squares in parts of RMS^2 * sqrt(size).
    Where there are fills, `fill_mismatch` counts elements that are one on one side only, and the relative figures are
    the larger of those of the fills and those of all other elements.
    """
    head: dict[str, Any] = {"shape": list(actual.shape), "dtype": str(actual.dtype)}
    if tuple(actual.shape) != tuple(shape):
        moved = sorted(actual.shape) == sorted(shape)
        return {**head, "problem": f"shape {list(actual.shape)} instead of {list(shape)}{': transposed?' * moved}"}
    if str(actual.dtype) != dtype:
        return {**head, "problem": f"dtype {actual.dtype} instead of {dtype}"}
    if "whole" in packed:
        return head | _whole(actual, packed["whole"].reshape(shape))
    return head | (_steps(actual, packed) if "levels" in packed else _estimate(actual, packed))


def channel_errors(actual: Array, shape: tuple[int, ...], packed: Mapping[str, Array]) -> dict[int, Array]:
    """Error of each channel of `actual` over its RMS, by axis; none for whole numbers and for tensors of few levels."""
    if tuple(actual.shape) != tuple(shape) or "levels" in packed or actual.dtype.kind in "OSUbiu":
        return {}
    if "whole" in packed:
        expected = packed["whole"].reshape(shape).astype(DENSE)
        found, limit = actual.astype(DENSE), fill_limit(expected.reshape(-1))
        usable = np.isfinite(found) & np.isfinite(expected)
        if limit is not None:
            usable &= (np.abs(found) <= limit) & (np.abs(expected) <= limit)
        found, expected = np.where(usable, found, 0.0), np.where(usable, expected, 0.0)
        return {axis: channels.errors(found, expected, axis) for axis in channels.axes(shape)}
    flat, _ = _finite(actual)
    rest = np.where(_filled(flat, packed), 0.0, flat).reshape(actual.shape)
    return {
        axis: channels.errors_of_sums(rest, axis, packed[f"axis{axis}"])
        for axis in channels.axes(shape)
        if f"axis{axis}" in packed
    }


def _filled(flat: Array, packed: Mapping[str, Array]) -> Array:
    """Elements above the limit of fills; none where there is no limit."""
    return np.abs(flat) > packed["fill"][0] if "fill" in packed else np.zeros(flat.shape, bool)


def _whole(actual: Array, whole: Array) -> dict[str, Any]:
    text = whole.dtype.kind in "US"
    found = actual.astype(np.str_ if text else whole.dtype)
    figures = tensor_statistics(found, whole)
    limit = None if text or whole.dtype.kind != "f" else fill_limit(whole.astype(DENSE).reshape(-1))
    if limit is None:
        return figures
    left, right = found.astype(DENSE), whole.astype(DENSE)
    here, there = np.abs(left) > limit, np.abs(right) > limit
    small = error_statistics(np.where(here, 0.0, left), np.where(there, 0.0, right))
    large = error_statistics(np.where(here & there, left, 0.0), np.where(here & there, right, 0.0))
    return _both(small, large, int(np.sum(here != there))) | {k: figures[k] for k in ("shape", "dtype")}


def _both(small: dict[str, Any], large: Mapping[str, Any], mismatch: int) -> dict[str, Any]:
    """Statistics of the elements below the limit of fills, with the relative figures of the fills where larger."""
    larger = {key: max(small[key], large[key]) for key in ("max_rel", "rms_rel", "block") if key in small}
    return small | larger | {"fill_mismatch": mismatch}


def _steps(actual: Array, packed: Mapping[str, Array]) -> dict[str, Any]:
    """`flips` counts elements nearer to another value than to the recorded one; the other figures leave them out."""
    levels, codes = packed["levels"], packed["codes"]
    expected, found = levels[codes], actual.reshape(-1).astype(DENSE)
    gap = float(np.diff(levels).min(initial=np.inf))
    flipped = np.abs(found - expected) > gap / 2
    kept = np.where(flipped, expected, found).reshape(actual.shape)
    return {**error_statistics(kept, expected.reshape(actual.shape)), "flips": int(flipped.sum())}


def _estimate(actual: Array, packed: Mapping[str, Array]) -> dict[str, Any]:
    flat, special = _finite(actual)
    filled = _filled(flat, packed)
    small = _estimate_sums(np.where(filled, 0.0, flat), packed["sums"], actual.shape)
    probes = error_statistics(np.where(filled, 0.0, flat)[probe_places(flat.size)], packed["probes"])
    small |= {
        "max_abs": probes["max_abs"],
        "mean_abs": probes["mean_abs"],
        "max_rel": probes["max_abs"] / small["rms"],
        "nan_mismatch": int(abs(special[0] - packed["special"][0])),
        "inf_mismatch": int(np.abs(special[1:] - packed["special"][1:]).sum()),
        "sampled": True,
        "histogram": histogram(
            np.abs(np.where(filled, 0.0, flat)[probe_places(flat.size)] - packed["probes"]) / small["rms"]
        ),
    }
    if "fill" not in packed:
        return small
    there = np.unpackbits(packed["filled"], count=flat.size).astype(bool)
    large = _estimate_sums(np.where(filled, flat, 0.0), packed["fills"], actual.shape)
    return _both(small, {**large, "max_rel": large["rms_rel"]}, int(np.sum(filled != there)))


def _estimate_sums(flat: Array, wanted: Array, shape: tuple[int, ...]) -> dict[str, Any]:
    """What the sums over blocks tell of an error: its RMS and cosine, and the block that is furthest off."""
    found, size, count = block_sums(flat), block_size(flat.size), flat.size
    rms = math.sqrt(float(wanted[:, 2].sum()) / count) or 1.0
    change = np.abs(found - wanted)
    scale = np.asarray([rms, rms, rms * rms, rms, rms]) * math.sqrt(size)
    block = (change / scale).max(1)
    worst = int(block.argmax())
    error = math.sqrt(float(np.square(change[:, 3:]).sum()) / (2 * count))
    return {
        "elements": count,
        "rms_rel": error / rms,
        "cosine": _cosine(float(found[:, 2].sum()), float(wanted[:, 2].sum()), error * error * count),
        "block": float(block[worst]),
        "worst": _range(worst * size, min((worst + 1) * size, count) - 1, shape),
        "rms": rms,
    }


def _cosine(found: float, wanted: float, difference: float) -> float:
    """From |a|^2, |b|^2 and |a - b|^2."""
    if found <= 0.0 or wanted <= 0.0:
        return 1.0 if found == wanted else 0.0
    return max(-1.0, min(1.0, (found + wanted - difference) / (2.0 * math.sqrt(found * wanted))))


def _range(first: int, last: int, shape: tuple[int, ...]) -> str:
    """Indices of a flat stretch, e.g. "[0, 17, 0:64, 0:64]": what lies between its ends, axis by axis."""
    low, high = np.unravel_index(first, shape), np.unravel_index(last, shape)
    parts, split = [], False
    for a, b, dim in zip(low, high, shape, strict=True):
        parts.append(f"0:{dim}" if split else str(a) if a == b else f"{a}:{b + 1}")
        split = split or a != b
    return "[" + ", ".join(parts) + "]"
