"""Finds outputs of a golden that can show little, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.errors import SurgeonError

if TYPE_CHECKING:
    import onnx

SATURATED = 1e-7


def bounded_outputs(model: onnx.ModelProto) -> set[str]:
    """Outputs that lie between -1 and 1 by the operator that makes them, also through operators that move data."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found = set()
    for value in model.graph.output:
        node = makers.get(value.name)
        while node is not None and node.op_type in MOVES and node.input:
            node = makers.get(node.input[0])
        if node is not None and node.op_type in BOUNDED:
            found.add(value.name)
    return found


BOUNDED = ("Sigmoid", "Softmax", "Tanh", "HardSigmoid", "Erf", "Sin", "Cos")
MOVES = ("Identity", "Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Gather")


def check_outputs(path: Path, values: Mapping[str, Sequence[Any]], bounded: set[str]) -> list[str]:
    """A note on each output that shows little: of one value only whatever the inputs, partly NaN, or saturated.

    Args:
        values: the arrays of each output, one for each case.
        bounded: outputs that lie between -1 and 1.

    Raises:
        SurgeonError: no output shows anything.
    """
    said: dict[str, str] = {}
    partly = []
    for name, arrays in values.items():
        kinds = {_content(value) for value in arrays}
        if len(kinds - {"empty", "not finite"}) == 0 or (len(kinds) == 1 and "" not in kinds):
            said[name] = " or ".join(sorted(kinds))
        elif name in bounded and all(_saturated(value) for value in arrays):
            said[name] = "saturated"
        elif nan := max(_share_of_nan(value) for value in arrays):
            partly.append(f"output '{name}' has up to {nan:.0%} NaN; give inputs that are valid with --inputs")
    notes = [f"output '{name}' is {what} for all inputs that were drawn" for name, what in said.items()]
    if len(said) == len(values):
        raise SurgeonError(f"{path}: {'; '.join(notes)}; such a golden tells nothing, give real ones with --inputs")
    return notes + partly


def _content(value: Any) -> str:
    """Words for a tensor without information: "empty", "not finite" or "always VALUE"; else ""."""
    if not value.size:
        return "empty"
    if value.dtype.kind in "OSU":
        return ""
    flat = value.reshape(-1)
    if value.dtype.kind == "f" and not bool(np.isfinite(flat.astype(np.float64)).any()):
        return "not finite"
    return f"always {flat[0]}" if bool((flat == flat[0]).all()) and value.size > 1 else ""


def _saturated(value: Any) -> bool:
    """Whether every element is as close to -1, 0 or 1 as rounding can tell."""
    numbers = np.asarray(value, np.float64)
    return bool((np.abs(numbers - np.round(numbers)) < SATURATED).all())


def _share_of_nan(value: Any) -> float:
    if value.dtype.kind != "f" or not value.size:
        return 0.0
    return float(np.isnan(value.astype(np.float64)).mean())
