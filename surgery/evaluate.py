"""Values of constant expressions, from the kernels the model itself would run on: onnxruntime, else onnx.reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.exporter import to_fragment
from verify.runner import open_session

SECONDS = 20.0


def evaluate(nodes: Sequence[gs.Node], wanted: Sequence[gs.Tensor], opsets: dict[str, int]) -> dict[int, np.ndarray]:
    """Values of `wanted` by id, from nodes that depend on constants only; those that cannot be computed are missing.

    All together in one run; when that fails, each by itself.
    """
    found = _together(list(nodes), list(wanted), opsets)
    if found is not None:
        return found
    values: dict[int, np.ndarray] = {}
    inside = {id(node): place for place, node in enumerate(nodes)}
    for tensor in wanted if len(wanted) > 1 else ():
        values.update(_together(cone(inside, tensor), [tensor], opsets) or {})
    return values


def cone(inside: Mapping[int, int], tensor: gs.Tensor) -> list[gs.Node]:
    """The nodes that `tensor` depends on among those in `inside` (place by id), in graph order."""
    found: dict[int, gs.Node] = {}
    todo = [tensor]
    while todo:
        for maker in todo.pop().inputs:
            if id(maker) in inside and id(maker) not in found:
                found[id(maker)] = maker
                todo += maker.inputs
    return sorted(found.values(), key=lambda node: inside[id(node)])


def _together(nodes: list[gs.Node], wanted: list[gs.Tensor], opsets: dict[str, int]) -> dict[int, Any] | None:
    session = open_session(to_fragment(nodes, wanted, opsets))
    run = session.run({}, timeout=SECONDS)
    if run.error:
        return None
    values = [run.outputs[str(index)] for index in range(len(wanted))]
    if not all(isinstance(value, np.ndarray) for value in values):
        return None
    return {id(tensor): value for tensor, value in zip(wanted, values, strict=True)}
