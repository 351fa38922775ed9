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
from surgery.precision.candidates import Candidates, Key, Unit, candidates, data_outputs, obstacle
from surgery.precision.casts import with_casts, with_rounded_weights, with_roundings
from surgery.precision.data_movement import with_moves
from surgery.precision.fitting import Kept, Stayed, fitting, half_tensors, keep, keep_attention, keep_odd_convolutions
from surgery.precision.masks import Masks, low_masks, without
from surgery.precision.measure import Compared, Feeds, magnitudes, run, set_errors, with_zero_rows
from surgery.precision.search import Measure, search
from surgery.precision.types import prepare
from verify.compare.half_file import in_float32
from verify.errors import SurgeonError
from verify.model.walk import node_name, walk_nodes

# The written file has fewer light nodes in half precision than the choice that was measured, and other shapes: where it
# is above the budget for that, the search aims lower. It does so too where sets whose error does not count, which the
# first search leaves out, overflow.
AIMS = (1.0, 0.9, 0.75)
UNCOUNTED = ("Cast", "Constant")  # they compute nothing


@dataclass
class Lowered:
    """The result of `lower`.

    errors     of each output, RMS of the difference over the RMS of the float32 output
    lowered    number of nodes in each precision
    stayed     nodes that make float32 data, and why
    casts      number of Casts added
    runs       how often the model was run
    unsteady   error from weights in half precision alone, for each extreme set whose error did not count
    """

    precision: str
    budget: float
    errors: dict[str, float] = field(default_factory=dict)
    lowered: dict[str, int] = field(default_factory=dict)
    stayed: list[Stayed] = field(default_factory=list)
    casts: int = 0
    runs: int = 0
    unsteady: list[float] = field(default_factory=list)

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
    max_runs: int = 64,
    unfused_attention: bool = False,
    extreme: Sequence[Feeds] = (),
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
        extreme: more inputs, of large values. Where weights in half precision alone move an output by more than the
            budget, only weights in float32 would help: there outputs must stay finite, and the error does not count.

    Raises:
        SurgeonError: unknown precision, or nothing to measure with.
    """
    _check(precision, feeds)
    typed = prepare(model)
    feeds = [*feeds, *with_zero_rows(typed, feeds[0]), *extreme]
    reference = run(typed, feeds)
    kind = "fp16" if precision == "mixed" else precision
    result = Lowered(precision, max_error, runs=2)
    compared = Compared(reference)
    if extreme:
        moved = set_errors(reference, run(with_rounded_weights(typed, kind), feeds))[-len(extreme) :]
        compared.only_finite = {len(feeds) - len(extreme) + i for i, size in enumerate(moved) if size > max_error}
        result.unsteady = [size for size in moved if size > max_error]
        result.runs += 1
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
        keep_attention(found, kept)
    keep_odd_convolutions(found, kept)
    fits = fitting(found, precision, largest, kept)
    steady = [place for place in range(len(feeds)) if place not in compared.only_finite]
    for aim, places in ((AIMS[0], steady), *((aim, range(len(feeds))) for aim in AIMS[1:])):
        measure = _measure(masks, found, fits, [feeds[place] for place in places], compared.of(places), result)
        reasons = dict(kept)
        choice = _choose(found, fits, measure, aim * max_error, max_runs, reasons)
        unread = masks.unread(choice)
        with_half = with_casts(masks.bounded(choice), choice)
        without(with_half.graph, unread)
        lowered = _shaped(_finished(model, with_half))
        result.errors = compared.errors(run(in_float32(lowered), feeds))
        result.runs += 1
        if result.within_budget:
            break
    result.stayed = [reasons[key] for key in sorted(reasons) if reasons[key].name not in unread]
    _count(typed, with_half, choice, result)
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
    names = [name for unit in found.units for path, name in half_tensors(found, unit) if not path]
    return magnitudes(typed, names, feeds)


def _measure(
    masks: Masks,
    found: Candidates,
    fits: Mapping[Unit, str],
    feeds: Sequence[Feeds],
    compared: Compared,
    result: Lowered,
) -> Measure:
    """Measures the errors of a choice of units; the same choice is run once."""
    known: dict[frozenset[Unit], dict[str, float]] = {}

    def measure(units: Sequence[Unit]) -> dict[str, float]:
        if (asked := frozenset(units)) not in known:
            result.runs += 1
            choice = with_moves(found, {key: fits[unit] for unit in units for key in unit.keys}, prune=False)
            known[asked] = compared.errors(run(with_roundings(masks.bounded(choice), choice), feeds))
        return known[asked]

    return measure


def _choose(
    found: Candidates, fits: Mapping[Unit, str], measure: Measure, budget: float, max_runs: int, kept: Kept
) -> dict[Key, str]:
    """The precision of each node lowered within the budget; `kept` gets the nodes that stay."""
    fine, reasons = search(list(fits), measure, budget, max_runs)
    for unit, why in reasons.items():
        keep(found, unit, why, kept)
    lowered = {key: fits[unit] for unit in fine for key in unit.keys}
    choice = with_moves(found, lowered)
    _explain_others(found, choice, lowered.keys(), kept)
    return choice


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
