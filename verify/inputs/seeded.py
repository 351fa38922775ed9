"""Inputs that are the same bits on every machine: named kinds of arrays from a seed.

Everything comes from raw Philox words (NumPy guarantees bit streams, not the methods of `Generator`) or from a
stored photo, by integer arithmetic and single roundings. A golden stores the kind and the seed, not the array.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from verify.errors import SurgeonError

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

PHOTO = Path(__file__).with_name("photo.npz")
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, red green blue, as SAM2's preprocessing has it
DEVIATION = (0.229, 0.224, 0.225)
COARSE_MASK = 16
EVERY = 64  # one in so many values of a photo or mask with edges is an edge
EDGES = (0.0, -0.0, 1e-4, -1e-4, 7e-4, -7e-4, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 4.5, -4.5, 6.0, -6.0)


def draw(kind: str, shape: Shape, dtype: str, seed: str, **options: Any) -> Array:
    """An array of one of `KINDS`.

    Args:
        kind: what the model uses the array for.
        shape: of the array.
        dtype: a NumPy name; also those of ml_dtypes.
        seed: any text; the same text gives the same values.
        options: `side` (image side in pixels) for coordinates, `low` and `high` for integers, uniform, ends and sweep,
            `value` for constant, `scale` for normal.

    Raises:
        SurgeonError: `kind` is not known, or not for this shape.
    """
    if kind not in KINDS:
        raise SurgeonError(f"no kind of input {kind!r}; choose {', '.join(KINDS)}")
    return KINDS[kind](shape, seed, options).astype(_dtype(dtype))


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found


def words(seed: str, count: int) -> Array:
    """`count` raw 64-bit words of Philox keyed by the SHA-256 of `seed`."""
    key = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "little")
    raw: Array = np.random.Philox(key=key).random_raw(count)
    return raw


def standard(seed: str, count: int) -> Array:
    """`count` float64 values of mean 0 and variance 1: the four 16-bit parts of a word added (Irwin-Hall, n = 4)."""
    bits = words(seed, count)
    total = sum((bits >> np.uint64(16 * part)) & np.uint64(0xFFFF) for part in range(4))
    values: Array = (np.asarray(total).astype(np.int64) - 2 * 65535) * (math.sqrt(3.0) / 65536.0)
    return values


def _normal(shape: Shape, seed: str, options: Any) -> Array:
    values: Array = standard(seed, math.prod(shape)).reshape(shape) * options.get("scale", 1.0)
    return values


def _uniform(shape: Shape, seed: str, options: Any) -> Array:
    low, high = options.get("low", 0.0), options.get("high", 1.0)
    share = (words(seed, math.prod(shape)) >> np.uint64(11)).astype(np.float64) / 2.0**53
    values: Array = low + share * (high - low)
    return values.reshape(shape)


def _heavy(shape: Shape, seed: str, _: Any) -> Array:
    """Heavy tails: the cube of normal values, up to about 40 and down to nearly nothing."""
    values: Array = standard(seed, math.prod(shape)).reshape(shape)
    return values * values * values


def _edges(shape: Shape, seed: str, _: Any) -> Array:
    """Normal values, one in three replaced by a number at which operators change their behaviour."""
    return _with_edges(_normal(shape, seed, {}), seed, 3)


def _with_edges(values: Array, seed: str, every: int) -> Array:
    """The values, of which one in `every` is replaced by a number at which operators change their behaviour."""
    choice = words(f"{seed}/edges", values.size).reshape(values.shape)
    edge = np.asarray(EDGES)[(choice >> np.uint64(8)) % np.uint64(len(EDGES))]
    replaced: Array = np.where(choice % np.uint64(every) == 0, edge, values)
    return replaced


def _edge_photo(shape: Shape, seed: str, options: Any) -> Array:
    return _with_edges(_photo(shape, seed, options), seed, EVERY)


def _edge_mask(shape: Shape, seed: str, options: Any) -> Array:
    return _with_edges(_mask(shape, seed, options), seed, EVERY)


def _edge_coordinates(shape: Shape, seed: str, options: Any) -> Array:
    """Points [objects, points, 2] as `_coordinates`, then some outside the picture, on its corner and very near it."""
    values = _coordinates(shape, seed, options)
    side = int(options.get("side") or 1024)
    odd = np.asarray([[-6.5, side + 6.5], [0.0, 5e-4], [-side / 4, 0.0]])
    values[:, 1:] = odd[np.arange(shape[1] - 1) % len(odd)]
    return values


def _ends(shape: Shape, seed: str, options: Any) -> Array:
    """The two ends of a range of whole numbers."""
    low, high = options.get("low", 0), options.get("high", 1)
    values: Array = np.where(words(seed, math.prod(shape)) & np.uint64(1), high, low)
    return values.reshape(shape)


def _sweep(shape: Shape, _: str, options: Any) -> Array:
    """Every whole number of a range in turn, from the lowest on."""
    low, high = options.get("low", 0), options.get("high", 1)
    values: Array = low + np.arange(math.prod(shape)) % (high - low + 1)
    return values.reshape(shape)


def _integers(shape: Shape, seed: str, options: Any) -> Array:
    low, high = options.get("low", 0), options.get("high", 1)
    offset = words(seed, math.prod(shape)) % np.uint64(high - low + 1)
    values: Array = offset.astype(np.int64) + low
    return values.reshape(shape)


def _constant(shape: Shape, _: str, options: Any) -> Array:
    return np.full(shape, options.get("value", 0))


def _photo(shape: Shape, _: str, __: Any) -> Array:
    """A photo (the portrait of Eileen Collins by NASA, public domain), scaled up and normalised: [N, 3, H, W]."""
    if len(shape) != 4 or shape[1] != 3:
        raise SurgeonError(f"a photo is [N, 3, H, W], not {list(shape)}")
    with np.load(PHOTO, allow_pickle=False) as stored:
        pixels = stored["astronaut"]
    planes = [enlarge(pixels[:, :, c], shape[2], shape[3]) / 255.0 for c in range(3)]
    image = np.stack([(p - m) / d for p, m, d in zip(planes, MEAN, DEVIATION, strict=True)])
    return np.broadcast_to(image, shape)


def enlarge(plane: Array, height: int, width: int) -> Array:
    """A whole-number plane [h, w] at another size: bilinear with half-pixel centres, exact but for one rounding."""
    rows, scale_h = _along_first(plane.astype(np.int64), height)
    columns, scale_w = _along_first(rows.T, width)
    enlarged: Array = columns.T / (scale_h * scale_w)
    return enlarged


def _along_first(values: Array, size: int) -> tuple[Array, int]:
    count = values.shape[0]
    place = np.clip((2 * np.arange(size) + 1) * count - size, 0, 2 * size * (count - 1))
    low, part = place // (2 * size), (place % (2 * size))[:, None]
    high = np.minimum(low + 1, count - 1)
    return values[low] * (2 * size - part) + values[high] * part, 2 * size


def _mask(shape: Shape, seed: str, _: Any) -> Array:
    """Smooth blobs between -10 and 10, most values at either end, one mask for each leading index."""
    planes = []
    for index in range(math.prod(shape[:-2])):
        coarse = (standard(f"{seed}/{index}", COARSE_MASK**2) * 65536.0).astype(np.int64)
        planes.append(enlarge(coarse.reshape(COARSE_MASK, COARSE_MASK), shape[-2], shape[-1]) / 65536.0)
    return np.clip(np.asarray(planes) * 20.0, -10.0, 10.0).reshape(shape)


def _coordinates(shape: Shape, seed: str, options: Any) -> Array:
    """Points [objects, points, 2] in pixels; the first two are the corners of a box, upper left first."""
    side = int(options.get("side") or 1024)
    points = (words(seed, math.prod(shape)) % np.uint64(16 * side)).astype(np.int64).reshape(shape)
    points[:, :2] = np.sort(points[:, :2], axis=1)
    return points / 16.0


def _labels(shape: Shape, _: str, __: Any) -> Array:
    """Labels [objects, points]: a box and then clicks for object 0, one click for 1, a click each way for 2, again."""
    objects, points = shape
    box = [1] if points == 1 else [2, 3, 1, 0, 1, 0, 1, 0, 1, 0][:points] + [-1] * (points - 10)
    rows = [box, [1] + [-1] * (points - 1), ([1, 0] + [-1] * points)[:points]]
    return np.asarray([rows[index % 3] for index in range(objects)]).reshape(shape)


def _signs(shape: Shape, _: str, __: Any) -> Array:
    """2.5, -1.5, 2.5, ... along the first axis."""
    column = np.asarray([(2.5, -1.5)[index % 2] for index in range(shape[0])])
    return np.broadcast_to(column.reshape(-1, *[1] * (len(shape) - 1)), shape)


def _count(shape: Shape, _: str, __: Any) -> Array:
    return np.full(shape, 5.0)


KINDS: dict[str, Callable[[Shape, str, Any], Array]] = {
    "normal": _normal,
    "uniform": _uniform,
    "heavy": _heavy,
    "edges": _edges,
    "ends": _ends,
    "sweep": _sweep,
    "integers": _integers,
    "constant": _constant,
    "photo": _photo,
    "mask": _mask,
    "coordinates": _coordinates,
    "edge_photo": _edge_photo,
    "edge_mask": _edge_mask,
    "edge_coordinates": _edge_coordinates,
    "labels": _labels,
    "signs": _signs,
    "count": _count,
}
