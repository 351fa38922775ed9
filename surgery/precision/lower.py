"""Half precision by measured error: running the model on real inputs decides which nodes are lowered.

    lowered, result = lower(model, "fp16", feeds, max_error=1e-2)

Everything that exists in half precision and fits its range is lowered first. Where the outputs then move by more than
the budget, the nodes that cost most return to float32, attention last, because there TensorRT gains most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from surgery.precision import DEFAULT_MAX_ERROR, PRECISIONS
from surgery.precision.candidates import Candidates, Key, Unit, candidates, data_inputs, data_outputs, obstacle
from surgery.precision.casts import HEADROOM, LARGEST, loses_values, with_casts, with_roundings
from surgery.precision.data_movement import with_moves
from surgery.precision.masks import Masks, low_masks, without
from surgery.precision.measure import Feeds, errors, magnitudes, run, with_zero_rows
from surgery.precision.search import search
from surgery.precision.types import prepare
from verify.compare.half_file import in_float32
from verify.errors import SurgeonError
from verify.model.walk import node_name, walk_nodes

UNCOUNTED = ("Cast", "Constant")  # they compute nothing


@dataclass(frozen=True)
class Stayed:
    """A node that computes float32 data in the result, and why."""

    name: str
    op: str
    why: str


Kept = dict[Key, Stayed]


@dataclass
class Lowered:
    """The result of `lower`.

    errors     of each output, RMS of the difference over the RMS of the float32 output
    lowered    number of nodes in each precision
    stayed     nodes that make float32 data, and why
    casts      number of Casts added
    runs       how often the model was run
    """

    precision: str
    budget: float
    errors: dict[str, float] = field(default_factory=dict)
    lowered: dict[str, int] = field(default_factory=dict)
    stayed: list[Stayed] = field(default_factory=list)
    casts: int = 0
    runs: int = 0

    @property
    def within_budget(self) -> bool:
        """Whether every output moved by at most the budget."""
        return _worst(self.errors) <= self.budget

    def summary(self) -> str:
        """The result in one line of text."""
        counts = ", ".join(f"{count} nodes in {kind}" for kind, count in self.lowered.items()) or "no node lowered"
        worst = max(self.errors, key=lambda name: self.errors[name], default="")
        moved = f"; largest error {self.errors[worst]:.2g} of RMS at '{worst}'" if worst else ""
        return f"{counts}, {len(self.stayed)} kept in fp32, {self.casts} casts{moved} (budget {self.budget:g})"


def lower(
    model: onnx.ModelProto,
    precision: str,
    feeds: Sequence[Feeds],
    max_error: float = DEFAULT_MAX_ERROR,
    skip_nodes: frozenset[str] = frozenset(),
    max_runs: int = 40,
    unfused_attention: bool = False,
) -> tuple[onnx.ModelProto, Lowered]:
    """The model with half precision written into it as Casts; its inputs and outputs stay as they are.

    Args:
        model: a float32 model that onnxruntime can run; left unchanged.
        precision: "fp16" or "bf16"; "mixed" is fp16, and bf16 for attentions whose values fp16 cannot hold.
        feeds: inputs by name, real ones: the choice is only as good as they are.
        max_error: most that an output may move, RMS of the difference over RMS of the output.
        skip_nodes: names of nodes that stay float32.
        unfused_attention: leave attention in float32, so that TensorRT runs it as separate kernels.
        max_runs: most runs of the search; when they are spent, what is still unexplained stays float32.

    Raises:
        SurgeonError: unknown precision, or nothing to measure with.
    """
    _check(precision, feeds)
    typed = prepare(model)
    feeds = [*feeds, *with_zero_rows(typed, feeds[0])]
    reference = run(typed, feeds)
    kind = "fp16" if precision == "mixed" else precision
    result = Lowered(precision, max_error, runs=2)
    found = candidates(typed, skip_nodes)
    largest = _magnitudes(typed, found, feeds)
    masks = low_masks(typed, largest, kind, skip_nodes)
    if masks.places:
        bounded = masks.bounded(masks.places)
        found = candidates(bounded, skip_nodes)
        largest = masks.sizes(_magnitudes(bounded, found, feeds))
        result.runs += 1
    kept: Kept = {}
    if unfused_attention:
        _keep_attention(found, kept)
    _keep_odd_convolutions(found, kept)
    fits = _fitting(found, precision, largest, kept)
    choice = _choose(masks, found, fits, feeds, reference, max_runs, result, kept)
    unread = masks.unread(choice)
    result.stayed = [kept[key] for key in sorted(kept) if kept[key].name not in unread]
    with_half = with_casts(masks.bounded(choice), choice)
    without(with_half.graph, unread)
    _count(typed, with_half, choice, result)
    lowered = _shaped(_finished(model, with_half))
    result.errors = errors(reference, run(in_float32(lowered), feeds))
    return lowered, result


def _worst(found: Mapping[str, float]) -> float:
    return max(found.values(), default=0.0)


def check_precision(precision: str) -> None:
    """Raise SurgeonError unless the precision is one of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise SurgeonError(f"unknown precision '{precision}'; choose one of {', '.join(PRECISIONS)}")


def _check(precision: str, feeds: Sequence[Feeds]) -> None:
    check_precision(precision)
    if not feeds:
        raise SurgeonError(
            "half precision is chosen by measured error and there are no inputs; give --calibrate FILE.npz"
        )


def _magnitudes(typed: onnx.ModelProto, found: Candidates, feeds: Sequence[Feeds]) -> dict[str, float]:
    """The largest absolute value of each tensor of the main graph that some unit would hold in half precision."""
    names = [name for unit in found.units for path, name in _tensors(found, unit) if not path]
    return magnitudes(typed, names, feeds)


def _fitting(found: Candidates, precision: str, largest: Mapping[str, float], kept: Kept) -> dict[Unit, str]:
    """The precision each unit can take by the range of its values; those that fit none go to `kept`."""
    kinds = ("fp16", "bf16") if precision == "mixed" else (precision,)
    constants = {t.name: t for scope in found.scopes.values() for t in scope.graph.initializer}
    fits: dict[Unit, str] = {}
    for unit in found.units:
        touched = _tensors(found, unit)
        allowed = kinds if unit.kind == "attention" else kinds[:1]
        whys = {kind: _too_large_or_small(kind, touched, constants, largest) for kind in allowed}
        fitting = next((kind for kind, why in whys.items() if not why), None)
        if fitting is None:
            _keep(found, unit, whys[kinds[0]], kept)
        else:
            fits[unit] = fitting
    return fits


def _too_large_or_small(
    kind: str,
    touched: Sequence[tuple[str, str]],
    constants: Mapping[str, onnx.TensorProto],
    largest: Mapping[str, float],
) -> str:
    """What of the tensors of a unit a precision cannot hold, in words; "" where it can hold all."""
    lost = next((n for _, n in touched if n in constants and loses_values(constants[n], kind)), "")
    if lost:
        return f"constant '{lost}' is 0 or infinite in {kind}"
    size, name = max(((largest.get(n, 0.0), n) for path, n in touched if not path), default=(0.0, ""))
    return "" if size * HEADROOM <= LARGEST[kind] else f"'{name}' reaches {size:.3g}, too large for {kind}"


def _choose(
    masks: Masks,
    found: Candidates,
    fits: dict[Unit, str],
    feeds: Sequence[Feeds],
    reference: Sequence[Mapping[str, Any]],
    max_runs: int,
    result: Lowered,
    kept: Kept,
) -> dict[Key, str]:
    """The precision of each node lowered within the budget; `kept` gets the nodes that stay."""

    def measure(units: Sequence[Unit]) -> dict[str, float]:
        result.runs += 1
        choice = with_moves(found, {key: fits[unit] for unit in units for key in unit.keys}, prune=False)
        return errors(reference, run(with_roundings(masks.bounded(choice), choice), feeds))

    fine, reasons = search(list(fits), measure, result.budget, max_runs)
    for unit, why in reasons.items():
        _keep(found, unit, why, kept)
    lowered = {key: fits[unit] for unit in fine for key in unit.keys}
    choice = with_moves(found, lowered)
    _explain_others(found, choice, lowered.keys(), kept)
    return choice


def _keep(found: Candidates, unit: Unit, why: str, kept: Kept) -> None:
    """Note why the nodes of a unit stay in float32."""
    for key in unit.keys:
        kept[key] = Stayed(node_name(found.node(key)), found.node(key).op_type, why)


def _explain_others(found: Candidates, choice: Mapping[Key, str], fine: Collection[Key], kept: Kept) -> None:
    """Say of the float32 nodes that no measure kept there why they stay."""
    moves = set(found.moves)
    for scope in found.scopes.values():
        for index, node in enumerate(scope.graph.node):
            key = (scope.path, index)
            if key in choice or key in kept or node.op_type in UNCOUNTED or not data_outputs(scope, node):
                continue
            why = obstacle(scope, node) or "named by --skip-node"
            if key in fine:
                why = "has no neighbour in half precision: its Casts would cost more than it saves"
            elif key in moves:
                why = "moves data between nodes in float32"
            kept[key] = Stayed(node_name(node), node.op_type, why)


def _keep_attention(found: Candidates, kept: Kept) -> None:
    for unit in found.units:
        if unit.kind == "attention":
            _keep(found, unit, "--unfused-attention keeps attention in float32", kept)
    found.units = [unit for unit in found.units if unit.kind != "attention"]


def _keep_odd_convolutions(found: Candidates, kept: Kept) -> None:
    """Leave convolutions over an odd number of channels in float32.

    In half precision TensorRT-RTX 1.7.1 gives them one channel more, from a constant as large as the image: 2.1 MB of
    weights for 1024 x 1024 pixels, whatever the kernel's size.
    """
    even = []
    for unit in found.units:
        scope, node = found.scopes[unit.keys[0][0]], found.node(unit.keys[0])
        weight = next((t for t in scope.graph.initializer if len(node.input) > 1 and t.name == node.input[1]), None)
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        channels = weight.dims[1] * group if unit.op == "Conv" and weight is not None else 0
        if channels % 2:
            why = f"reads {channels} channels; TensorRT pads an odd number of them with a stored constant"
            _keep(found, unit, why, kept)
        else:
            even.append(unit)
    found.units = even


def _tensors(found: Candidates, unit: Unit) -> list[tuple[str, str]]:
    """(path, name) of every tensor a unit would hold in half precision."""
    pairs = []
    for key in unit.keys:
        scope, node = found.scopes[key[0]], found.node(key)
        pairs += [(key[0], name) for name in (*data_inputs(scope, node), *data_outputs(scope, node))]
    return pairs


def _count(typed: onnx.ModelProto, lowered: onnx.ModelProto, choice: dict[Key, str], result: Lowered) -> None:
    for kind in choice.values():
        result.lowered[kind] = result.lowered.get(kind, 0) + 1
    result.casts = _casts(lowered.graph) - _casts(typed.graph)


def _casts(graph: onnx.GraphProto) -> int:
    return sum(node.op_type == "Cast" for node in walk_nodes(graph.node))


def _shaped(lowered: onnx.ModelProto) -> onnx.ModelProto:
    """The lowered model with attention in the form TensorRT fuses once it is in half precision (pass SG201)."""
    from surgery.passes.speed.three_dim_attention import PASS
    from surgery.pipeline.apply import apply_passes
    from surgery.pipeline.options import Options

    return apply_passes(lowered, "", [PASS], Options()).model


def _finished(model: onnx.ModelProto, lowered: onnx.ModelProto) -> onnx.ModelProto:
    """The lowered graph with the original's declared interface."""
    for before, after in ((model.graph.input, lowered.graph.input), (model.graph.output, lowered.graph.output)):
        kept: list[Any] = list(before)
        del after[:]
        after.extend(kept)
    return lowered
