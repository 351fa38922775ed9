"""The outputs that trtexec wrote: raw dumps if present and complete, else the rounded numbers of output.json."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.device.results.log import Log
from verify.device.trtexec import RAW_TYPES, array_type
from verify.errors import SurgeonError

ROUNDING = 5e-6  # largest relative error of a number of six significant digits
ENTRY = re.compile(r'\{\s*"name" : "(.*?)"\s*, "dimensions" : "([^"]*)"\s*, "values" : \[(.*?)\]\s*\}', re.S)
ALLOCATOR = re.compile(r"Final shape is ([\dx]*) reported by the output allocator\.\s*")


@dataclass(frozen=True)
class Dumped:
    """One output: its values, and whether they are those of output.json, which has six significant digits."""

    values: Any
    rounded: bool = False


def read_outputs(folder: Path, log: Log, expected: Mapping[str, str]) -> dict[str, Dumped]:
    """The outputs of one run by name.

    Args:
        expected: name and NumPy type of each output's binding.

    Raises:
        SurgeonError: an output is missing, of another type, cut short, or not the same in both files.
    """
    written = read_json(folder / "output.json")
    found = {}
    for name, dtype in expected.items():
        raw = _raw(folder, log, name, dtype)
        text = _from_json(written, name, dtype) if written is not None and name in written else None
        if raw is None and text is None:
            raise SurgeonError(f"output {name}: neither a raw dump nor output.json has it; copy the whole folder back")
        if raw is not None and text is not None:
            _require_same(name, raw, text)
        found[name] = Dumped(text, True) if raw is None else Dumped(raw)
    return found


def _raw(folder: Path, log: Log, name: str, dtype: str) -> Any:
    """The raw dump of an output; None where there is none.

    Raises:
        SurgeonError: it is of another type, or has another size than its name says.
    """
    import numpy as np

    said = log.raw.get(("output", name))
    if said is None:
        return None
    kind, dims, file = said[0], said[1], folder / Path(said[2]).name
    if not file.is_file():
        return None
    if RAW_TYPES.get(kind) != dtype:
        raise SurgeonError(f"output {name}: the engine gives {kind}, the model {dtype}; is it another model?")
    shape = tuple(int(dim) for dim in dims.split(".") if dim)
    content, element = file.read_bytes(), array_type(dtype)
    wanted = math.prod(shape) * element.itemsize
    if len(content) != wanted:
        short = "cut short" if len(content) < wanted else "too long"
        raise SurgeonError(f"output {name}: {file.name} is {short}: {len(content)} bytes instead of {wanted}")
    if dtype == "bool":
        return np.frombuffer(content, np.uint8).reshape(shape) != 0
    return np.frombuffer(content, element).reshape(shape)


def read_json(path: Path) -> dict[str, tuple[str, str]] | None:
    """Dimensions and values of each output of output.json, as text; None where there is no file.

    The file is no JSON where a name has a quote, a value is not finite, or an output's shape depends on the data.

    Raises:
        SurgeonError: the file is cut short.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return None
    found = {}
    for name, dims, values in ENTRY.findall(text):
        allocated = ALLOCATOR.search(values)
        found[name] = (allocated[1] if allocated else dims, ALLOCATOR.sub("", values))
    if not text.rstrip().endswith("]") or text.count('"values" : [') != len(found):
        raise SurgeonError(f"{path.name} is cut short; copy the folder again, or run run.sh again")
    return found


def _from_json(written: Mapping[str, tuple[str, str]], name: str, dtype: str) -> Any:
    """Values of an output of output.json; None for 8-bit numbers, which the file holds as raw characters."""
    import numpy as np

    dims, text = written[name]
    words = text.replace(",", " ").split()
    try:
        shape = tuple(int(dim) for dim in dims.split("x") if dim)
        kind = array_type(dtype)
        values = [int(w) for w in words] if kind.kind in "iub" else [float(w) for w in words]
        return np.asarray(values, np.int64 if kind.kind in "iub" else np.float64).reshape(shape).astype(kind)
    except ValueError:
        if dtype == "uint8":
            return None
        raise SurgeonError(f"output {name}: output.json has {len(words)} values for {dims or 'a scalar'}") from None


def _require_same(name: str, raw: Any, text: Any) -> None:
    """Raise SurgeonError if the raw dump and output.json are from different runs."""
    import numpy as np

    left, right = raw.astype(np.float64), text.astype(np.float64)
    exact = raw.dtype.kind in "iub"
    same = left.shape == right.shape and np.allclose(
        left, right, rtol=0 if exact else 2 * ROUNDING, atol=0 if exact else 1e-37, equal_nan=True
    )
    if not same:
        raise SurgeonError(f"output {name}: its raw dump is not of the same run as output.json; run run.sh again")
