"""The shapes and the contents of shapes that passes believe are those that onnxruntime computes, on random models."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest

from surgery.graph.infer import infer
from surgery.graph.read import to_graph
from surgery.pipeline.context import Context
from surgery.values.propagate import content_of, contents
from tests.surgery.fuzz.generator import draft
from tests.surgery.fuzz.pieces import PIECES
from tests.surgery.fuzz.shapes import SHAPES
from tests.surgery.passes.comparing import run
from verify.model.walk import opsets_of

ALL = (*PIECES, *SHAPES, *SHAPES)


def wrong(seed: int) -> list[str]:
    """The tensors whose shape or contents are not what is believed of them."""
    made = draft(seed, ALL)
    model = made.finished()
    graph, context = to_graph(model), Context(None, opsets_of(model.opset_import))
    context.root = graph
    infer(graph, context.opsets)
    known = contents(graph, context)
    tensors = graph.tensors()
    names = [name for node in model.graph.node for name in node.output if name]
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    del open_model.graph.output[:]
    open_model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = []
    for kind, inputs in made.sets():
        try:
            values = inputs | dict(zip(names, run(open_model, inputs), strict=True))
        except Exception:  # the original does not take these
            continue
        dims: dict[Any, int] = {}
        for name, value in values.items():
            if name not in tensors:
                continue
            for believed, real in _pairs(tensors[name], content_of(tensors[name], known), value):
                here = real if isinstance(believed, int) else dims.setdefault(believed, real)
                if believed != real if isinstance(believed, int) else here != real:
                    found.append(f"{kind}: {name} has {value.shape}, believed {tensors[name].shape}")
    return found


def _pairs(tensor: Any, content: Any, value: np.ndarray) -> list[tuple[Any, int]]:
    """What is believed beside what is there: the rank, the dims, the elements."""
    pairs: list[tuple[Any, int]] = []
    if tensor.shape is not None:
        pairs = [(len(tensor.shape), value.ndim)]
        pairs += [(dim, size) for dim, size in zip(tensor.shape, value.shape, strict=False) if dim is not None]
    if content is not None:
        pairs.append((content.size, value.size))
        elements = zip(content.flat, value.flat, strict=False)
        pairs += [(int(one), int(other)) for one, other in elements if isinstance(one, int | np.integer | np.bool_)]
    return pairs


@pytest.mark.parametrize("block", range(4))
def test_believed_shapes_of_a_few_random_models(block: int) -> None:
    found = {seed: wrong(seed) for seed in range(25 * block, 25 * block + 25)}
    assert {seed: tensors for seed, tensors in found.items() if tensors} == {}


@pytest.mark.slow
def test_believed_shapes_of_many_random_models() -> None:
    first, count = (
        int(os.environ.get(f"SURGEON_FUZZ_{name}", default)) for name, default in (("SEED", 1000), ("MODELS", 500))
    )
    found = {seed: wrong(seed) for seed in range(first, first + count)}
    assert {seed: tensors for seed, tensors in found.items() if tensors} == {}


@pytest.mark.parametrize("piece", dict.fromkeys(SHAPES), ids=lambda piece: piece.__name__)
def test_every_piece_is_drawn(piece: Any) -> None:
    assert any(len(draft(seed, [piece], most=2).nodes) > 0 for seed in range(60))
