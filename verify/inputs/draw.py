"""Inputs for a model: drawn from its own types, shapes and value ranges, or read from an .npz file."""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.errors import SurgeonError
from verify.inputs.ranges import Range, input_ranges
from verify.model.expressions import evaluate
from verify.model.files import require_content
from verify.model.walk import fed_inputs

if TYPE_CHECKING:
    import onnx

MAX_ELEMENTS = 1 << 26
MAX_NPZ_BYTES = 4 << 30
EDGE_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-6, 1e3, -1e3, 2.5, 3.5)


class TooLarge(SurgeonError):
    """An input would be larger than `MAX_ELEMENTS`."""


def free_dims(model: onnx.ModelProto) -> list[str]:
    """Keys of the dims that are not fixed: the dim_param, or "input:axis" where it is missing or a mere '?'.

    One dim_param counts as one size everywhere, as ONNX has it. One that is computed, such as "past + seq", gives the
    names it is computed from.
    """
    keys: dict[str, None] = {}
    for value in fed_inputs(model.graph):
        for axis, dim in enumerate(_tensor_type(value).shape.dim):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                key = dim_key(value.name, axis, dim)
                keys |= dict.fromkeys(names_in(key) or (key,))
    return list(keys)


def names_in(dim: str) -> tuple[str, ...]:
    """Names that a dim such as "past + seq" or "2*n" is computed from; () for a plain name.

    A hyphen without spaces around it is part of a name, as in "batch-size".
    """
    if not re.fullmatch(r"[\w\s+*/()-]+", dim) or not re.search(r"[+*]|//|\s-\s", dim) or re.search(r"\S-\S", dim):
        return ()
    names = tuple(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", dim)))
    try:
        evaluate(dim, dict.fromkeys(names, 1))
    except SurgeonError:
        return ()
    return names


def draw_inputs(
    model: onnx.ModelProto,
    *,
    sizes: Mapping[str, int] | None = None,
    default_size: int = 1,
    style: str = "random",
    seed: int = 0,
    ranges: Mapping[str, Range] | None = None,
    confined: Mapping[str, Range] | None = None,
) -> dict[str, Any]:
    """One array for each input of `model` (a list for a sequence, None for an absent optional).

    Args:
        model: only types, shapes and the ways inputs are used are read, so weights may be missing.
        sizes: size of a dim by its key (see `free_dims`), or of "input:axis".
        default_size: of the free dims that `sizes` leaves out.
        style: "random" (normal floats, integers within their range), "zeros" (the low end of every range),
            "edge" (signed zeros, large and small floats, the ends of integer ranges).
        seed: same seed, same arrays.
        confined: the result of `input_ranges` for the model, if already computed.
        ranges: value range of an integer input by name, instead of the one read from its uses.

    Raises:
        SurgeonError: an input's type cannot be drawn (maps, opaque types) or it would be larger than 64M elements.
    """
    generator = np.random.default_rng(seed)
    known = {**(input_ranges(model) if confined is None else confined), **(ranges or {})}
    drawn: dict[str, Any] = {}
    for value in fed_inputs(model.graph):
        shape = _shape(value, sizes or {}, default_size)
        if math.prod(size for size in shape if size) > MAX_ELEMENTS:
            raise TooLarge(f"input '{value.name}' would be of shape {list(shape)}; give --check-inputs")
        array = _draw(_tensor_type(value).elem_type, shape, style, known.get(value.name), generator, value.name)
        kind = value.type.WhichOneof("value")
        drawn[value.name] = [array, array.copy()] if kind == "sequence_type" else array
    return drawn


def _tensor_type(value: onnx.ValueInfoProto) -> Any:
    """Tensor type of an input, also inside a sequence or optional; SurgeonError for other kinds."""
    kind, inner = value.type.WhichOneof("value"), value.type
    while kind in ("sequence_type", "optional_type"):
        inner = getattr(inner, kind).elem_type
        kind = inner.WhichOneof("value")
    if kind != "tensor_type":
        raise SurgeonError(f"input '{value.name}' is a {kind or 'value without a type'}; give --check-inputs")
    return inner.tensor_type


def dim_key(name: str, axis: int, dim: Any) -> str:
    """Key of a free dim: its dim_param, or "input:axis" where it has none."""
    param = dim.dim_param
    return param if param and any(letter.isalnum() for letter in param) else f"{name}:{axis}"


def _shape(value: onnx.ValueInfoProto, sizes: Mapping[str, int], default_size: int) -> tuple[int, ...]:
    dims = []
    for axis, dim in enumerate(_tensor_type(value).shape.dim):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            dims.append(int(dim.dim_value))
        else:
            key = dim_key(value.name, axis, dim)
            known = {name: sizes.get(name, default_size) for name in names_in(key)}
            size = max(evaluate(key, known), 0) if known else default_size
            dims.append(sizes.get(f"{value.name}:{axis}", sizes.get(key, size)))
    return tuple(dims)


def _draw(
    elem_type: int, shape: tuple[int, ...], style: str, span: Range | None, generator: np.random.Generator, name: str
) -> Any:
    import onnx

    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(elem_type)
    except KeyError:
        raise SurgeonError(f"input '{name}' has no element type; declare one, or give --check-inputs") from None
    if dtype.kind == "O":
        return np.asarray(generator.choice(np.asarray(["", "a", "word", "2", "Ä"], dtype=object), shape), dtype=object)
    if dtype.kind == "b":
        return np.zeros(shape, bool) if style == "zeros" else np.asarray(generator.integers(0, 2, shape), dtype=bool)
    if dtype.kind in "iu" or "int" in dtype.name:
        return _integers(dtype, shape, style, span, generator)
    if style == "zeros":
        return np.zeros(shape, dtype)
    if style == "edge" and span is None:
        return np.asarray(generator.choice(EDGE_FLOATS, shape)).astype(dtype)
    low, high = span.ends(-1.0, 1.0) if span else (0.0, 0.0)
    values = generator.uniform(low, high, shape) if span else generator.standard_normal(shape)
    return np.asarray(values).astype(dtype)


def _integers(
    dtype: Any, shape: tuple[int, ...], style: str, span: Range | None, generator: np.random.Generator
) -> Any:
    few = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}.get(dtype.name)
    wide = few or (0, 255 if dtype == np.uint8 else 9)
    low, high = span.ends(*wide) if span else wide
    if span is not None and span.distinct:
        values = np.arange(math.prod(shape)).reshape(shape)
    elif style == "zeros":
        values = np.full(shape, low)
    elif style == "edge":
        values = generator.choice([low, high], shape)
    else:
        values = generator.integers(int(low), int(high) + 1, shape)
    return np.asarray(values).astype(dtype)


def load_npz(path: str | os.PathLike[str], limit: int = MAX_NPZ_BYTES) -> dict[str, Any]:
    """Arrays of an .npz file by name; pickles are refused and so is an archive that unpacks to more than `limit` bytes.

    Raises:
        SurgeonError: no such file, not an .npz archive, or too large.
    """
    if not Path(path).is_file():
        raise SurgeonError(f"{path}: no such file; give an .npz with one array for each input")
    require_content(Path(path))
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total > limit:
            raise SurgeonError(f"{path}: unpacks to {total} bytes, above the limit of {limit}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, MemoryError, RuntimeError) as error:
        raise SurgeonError(f"{path}: not a readable .npz file ({error}); write it with numpy.savez") from None
