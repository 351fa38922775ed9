"""Runs the passes on a model in memory; nothing is compared with the original or written to disk here."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import onnx

from surgery.graph import infer, read, write
from surgery.graph.bind import bind
from surgery.graph.names import Names
from surgery.pipeline.context import Context
from surgery.pipeline.opset import default_opset, lift
from surgery.pipeline.options import Options
from surgery.pipeline.rule import Pass
from surgery.pipeline.run import PassFailure, run_passes
from surgery.targets import load_target
from verify.errors import SurgeonError
from verify.model.walk import opsets_of
from verify.report import Finding


@dataclass
class Outcome:
    """What the passes made of a model; `model` is the original object when nothing was found.

    `types` and `shapes` hold the NumPy types and the dims of its tensors by name, as far as they are known.
    """

    model: onnx.ModelProto
    applied: list[Finding]
    context: Context
    types: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Sequence[Any]] = field(default_factory=dict)


def apply_passes(model: onnx.ModelProto, folder: str, rules: Sequence[Pass], options: Options) -> Outcome:
    """Apply the bindings of the options and run the passes; a pass that fails is skipped and reported."""
    with _without_garbage_collection():
        return _apply_passes(model, folder, list(rules), options)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Switch off Python's search for unreachable cycles: a graph is one large cycle that stays reachable."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _apply_passes(model: onnx.ModelProto, folder: str, rules: list[Pass], options: Options) -> Outcome:
    troubles: list[str] = []
    original = model
    model, lifted = lift(model, load_target(options.target))
    while True:
        opsets = opsets_of(model.opset_import)
        context = Context(options, opsets)
        context.troubles += troubles
        try:
            graph = read.to_graph(model, folder)
        except (UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None
        bound = bind(graph, options.input_shapes, options.set_inputs, options.outputs)
        try:
            applied = run_passes(graph, rules, context)
            fixed = write.to_model(graph, context.opsets) if applied or bound else model
        except (UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None
        except PassFailure as failure:
            troubles.append(f"{failure}; left out")
            rules = [rule for rule in rules if rule.code != failure.code]
            continue
        if fixed is model and model is not original and "converted" not in lifted:
            return Outcome(original, applied, context)  # a new opset number alone is no fix
        if context.opset != default_opset(model) and fixed is not model:
            lifted = f"opset {default_opset(original)} reads as {context.opset} unchanged"
        context.troubles += [*context.declined, *([lifted] if lifted else [])]
        names = Names(graph)
        named = {names.of(tensor): tensor for tensor in names.tensors_of(graph)}
        types = {name: tensor.dtype for name, tensor in named.items() if tensor.dtype is not None}
        shapes = {name: tensor.shape for name, tensor in named.items() if tensor.shape is not None}
        return Outcome(fixed, applied, context, types, shapes)


def unreadable(error: Exception) -> SurgeonError:
    """The error for names that are not UTF-8 text and for graphs nested too deeply."""
    return SurgeonError(f"the model cannot be read: {type(error).__name__}: {error}; export it again")


def bound_original(model: onnx.ModelProto, folder: str, options: Options) -> onnx.ModelProto:
    """The model with only the bindings applied: what a fixed model is compared with when there are any."""
    graph = read.to_graph(model, folder)
    opsets = opsets_of(model.opset_import)
    infer.infer(graph, opsets)
    bind(graph, options.input_shapes, options.set_inputs, options.outputs)
    return write.to_model(graph)
