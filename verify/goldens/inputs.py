"""Inputs of a golden's cases: made again from their seeds, or read from where they were stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from verify.errors import SurgeonError
from verify.goldens.index import Case, Tensor
from verify.inputs.seeded import draw


def make_inputs(case: Case, data: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a case, drawn or read, by name; SurgeonError when they are not those the golden was recorded with."""
    inputs = {tensor.name: _make_input(tensor, data) for tensor in case.inputs}
    if digest(inputs) != case.inputs_sha256:
        raise SurgeonError(f"the inputs of golden case {case.name!r} cannot be made again here; record it again")
    return inputs


def _make_input(tensor: Tensor, data: Mapping[str, Any]) -> Any:
    if tensor.drawn is not None:
        try:
            return draw(shape=tensor.shape, dtype=tensor.dtype, **tensor.drawn)
        except (TypeError, AttributeError, ValueError) as error:
            raise SurgeonError(f"input {tensor.name!r} of the golden is damaged ({error}); record it again") from None
    if tensor.key not in data:
        raise SurgeonError(f"the golden's data lacks input {tensor.name!r}; record it again")
    return unstore(data[tensor.key], tensor.dtype)


def store(array: Any) -> Any:
    """An input in a type that NumPy files hold: ml_dtypes as raw bits, strings with a fixed width."""
    if array.dtype.kind == "O":
        return array.astype(np.str_)
    raw = {1: np.uint8, 2: np.uint16}.get(array.dtype.itemsize, np.uint32)
    return array if array.dtype.type.__module__ == "numpy" else array.view(raw)


def unstore(stored: Any, dtype: str) -> Any:
    """The inverse of `store`; `dtype` is the name of the original type."""
    import ml_dtypes

    if stored.dtype.name != dtype and stored.dtype.kind == "u" and hasattr(ml_dtypes, dtype):
        return stored.view(getattr(ml_dtypes, dtype))
    return stored.astype(object) if stored.dtype.kind == "U" else stored


def digest(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of names, shapes and bytes of the inputs in order."""
    sha = hashlib.sha256()
    for name, array in inputs.items():
        array = np.asarray(array)
        content = "\0".join(map(str, array.reshape(-1))).encode() if array.dtype.kind in "OU" else array.tobytes()
        sha.update(f"{name} {list(array.shape)} ".encode() + content)
    return sha.hexdigest()
