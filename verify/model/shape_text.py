"""Shapes of inputs as people write them on a command line, in the three spellings in use."""

from __future__ import annotations

import re

from verify.errors import SurgeonError

SPELLINGS = "write it as input:1x3x64x64, input:1,3,64,64 or input:[1,3,64,64]"


def parse_shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """Name and dims from `x:1x3x64x64` (trtexec), `x:1,3,64,64` (onnxsim, onnxslim) or `x:[1,3,64,64]` (Polygraphy).

    A dim may be -1, and with commas a name: both leave it free. No dims at all (`x:`) are those of a scalar.

    Raises:
        SurgeonError: it is in none of the three spellings.
    """
    name, _, sizes = text.rpartition(":")
    body = re.sub(r"[\s'\"]", "", sizes).removeprefix("[").removesuffix("]")
    dims = re.split("[x,]", body) if re.fullmatch(r"-?\d+([x,]-?\d+)*", body) else body.split(",")
    if not name or (body and not all(re.fullmatch(r"-?\d+|[A-Za-z_]\w*", dim) for dim in dims)):
        raise SurgeonError(f"'{text}' is not a shape; {SPELLINGS}")
    return name, tuple(int(dim) if dim.lstrip("-").isdigit() else dim for dim in dims) if body else ()


def parse_static_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """As `parse_shape`, where every dim must be a number from 0 up.

    Raises:
        SurgeonError: it is in none of the three spellings, or leaves a dim free.
    """
    name, dims = parse_shape(text)
    free = [dim for dim in dims if isinstance(dim, str) or dim < 0]
    if free:
        raise SurgeonError(f"'{text}' has the free dim {free[0]}; give every dim a size, as in input:1x3x64x64")
    return name, tuple(int(dim) for dim in dims)
