"""Sizes of free dims that a golden is recorded with: different for every dim, so that a wrong axis shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from verify.inputs.draw import dim_key, names_in
from verify.model.walk import fed_inputs

if TYPE_CHECKING:
    import onnx

Sizes = dict[str, int]
# Sides of pictures and other sizes, by turns; models that want multiples of 8, 16 or 32 get the later rows.
DISTINCT = (
    ((40, 48, 56, 72), (5, 7, 11, 13, 17, 19)),
    ((64, 96, 128, 160), (8, 12, 16, 20, 24, 28)),
    ((64,), (6,)),
    ((64,), (16,)),
    ((32,), (4,)),
    ((4,), (4,)),
)
SINGLE = (
    ((48, 32, 40, 64), (6, 9, 10, 14, 15, 21)),
    ((96, 64, 160, 128), (16, 8, 24, 12, 28, 20)),
    ((96,), (9,)),
    ((128,), (24,)),
    ((32,), (4,)),
    ((1,), (1,)),
)
ODD = (((37, 53, 45, 61), (7, 11, 9, 13, 21, 23)), *DISTINCT)
MANY = 40  # the size of a batch at which models may take another branch
SEVERAL = 3  # the size of a batch that is not 1
MOST_IDS = 4096


def roles(model: onnx.ModelProto) -> dict[str, str]:
    """What each free dim is, by its key: "batch" (axis 0), "side" of a picture, or "other"."""
    found: dict[str, str] = {}
    for value in fed_inputs(model.graph):
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                role = "side" if len(dims) >= 4 and axis >= 2 else "other" if axis else "batch"
                key = dim_key(value.name, axis, dim)
                for name in names_in(key) or (key,):
                    found.setdefault(name, role)
    return found


def choices(model: onnx.ModelProto, kind: str = "several") -> Iterator[Sizes]:
    """Sizes of the free dims by their keys, to be tried in this order until the model runs; {} if none is free.

    Args:
        kind: "several", or "one" or "many" for the batch; "odd" for sizes that are no multiple of anything.
    """
    free = roles(model)
    if not free:
        yield {}
        return
    batch = {"one": 1, "many": MANY}.get(kind, SEVERAL)
    seen: list[Sizes] = []
    for sides, others in {"one": SINGLE, "odd": ODD}.get(kind, DISTINCT):
        for named_batches in (False, True) if len(sides) > 1 else (False,):
            sizes = _assign(free, sides, others, batch, named_batches)
            if sizes not in seen:
                seen.append(sizes)
                yield sizes
    if kind != "one":
        yield dict.fromkeys(free, 4)


def has_free_sizes(model: onnx.ModelProto) -> bool:
    """Whether a dim other than the batch is free."""
    return any(role != "batch" for role in roles(model).values())


def _assign(
    free: Mapping[str, str], sides: tuple[int, ...], others: tuple[int, ...], batch: int, one_batch: bool
) -> Sizes:
    """Each dim the next size of its kind. Dims without a name are one batch; named ones too with `one_batch`."""
    sizes: Sizes = {}
    turn = {"side": 0, "other": 0, "batch": 0}
    for key, role in free.items():
        number = turn[role]
        turn[role] += 1
        if role == "batch":
            first = ":" in key or one_batch or number == 0 or batch == 1
            sizes[key] = batch if first else batch + 2 * number
        else:
            row = sides if role == "side" else others
            sizes[key] = row[number % len(row)]
    return sizes


def wide_choices(model: onnx.ModelProto, rows: int) -> Iterator[Sizes]:
    """Sizes at which an input of ids has room for all `rows` of its table, or for 4,096 of them."""
    free = roles(model)
    for length in (64, 32, 16, 8):
        sizes = {key: length if role == "other" else 32 for key, role in free.items() if role != "batch"}
        batches = [key for key, role in free.items() if role == "batch"]
        many = max(1, math.ceil(min(rows, MOST_IDS) / (length if "other" in free.values() else 1)))
        if sizes or batches:
            yield sizes | dict.fromkeys(batches, many)
    if not free:
        yield {}
