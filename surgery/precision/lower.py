"""Half precision by measured error: running the model on real inputs decides which nodes are lowered.

    lowered, result = lower(model, "fp16", feeds, max_error=1e-2)

Everything that exists in half precision and fits its range is lowered first. Where the outputs then move by more than
the budget, the nodes that cost most return to float32, attention last, because there TensorRT gains most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from surgery.precision import DEFAULT_MAX_ERROR, PRECISIONS
from surgery.precision.candidates import Candidates, Key, Unit, candidates, data_inputs, data_outputs
from surgery.precision.casts import LARGEST, loses_values, with_casts, with_roundings
from surgery.precision.data_movement import with_moves
from surgery.precision.measure import Feeds, errors, magnitudes, run, with_zero_rows
from surgery.precision.search import search
from surgery.precision.types import prepare
from verify.errors import SurgeonError
from verify.model.walk import walk_nodes

# Values this close to the type's largest may exceed it on inputs that were not measured.
HEADROOM = 2.0


@dataclass(frozen=True)
class Stayed:
    """A node that is not in half precision, and why."""

    name: str
    op: str
    why: str


@dataclass
class Lowered:
    """The result of `lower`.

    errors     of each output, RMS of the difference over the RMS of the float32 output
    lowered    number of nodes in each precision
    stayed     nodes that could be in half precision and are not
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
        return max(self.errors.values(), default=0.0) <= self.budget

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
    found = candidates(typed, skip_nodes)
    result = Lowered(precision, max_error)
    if unfused_attention:
        _keep_attention(found, result)
    _keep_odd_convolutions(found, result)
    fits = _fitting(typed, found, precision, feeds, result)
    choice = _choose(typed, found, fits, feeds, max_runs, result)
    lowered = with_casts(typed, choice)
    _count(typed, lowered, choice, result)
    return _shaped(_finished(model, lowered)), result


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


def _fitting(
    typed: onnx.ModelProto, found: Candidates, precision: str, feeds: Sequence[Feeds], result: Lowered
) -> dict[Unit, str]:
    """The precision each unit can take by the range of its values; those that fit none go to `result.stayed`."""
    kind = "fp16" if precision == "mixed" else precision
    tensors = {unit: _tensors(found, unit) for unit in found.units}
    names = [name for names in tensors.values() for path, name in names if not path]
    largest = magnitudes(typed, names, feeds)
    fits: dict[Unit, str] = {}
    constants = {t.name: t for scope in found.scopes.values() for t in scope.graph.initializer}
    for unit, touched in tensors.items():
        lost = next((n for _, n in touched if n in constants and loses_values(constants[n], kind)), "")
        if lost:
            result.stayed.append(Stayed(unit.name, unit.op, f"constant '{lost}' is 0 or infinite in {kind}"))
            continue
        size, name = max(((largest.get(n, 0.0), n) for path, n in touched if not path), default=(0.0, ""))
        if size * HEADROOM <= LARGEST[kind]:
            fits[unit] = kind
        elif precision == "mixed" and unit.kind == "attention" and size < float("inf"):
            fits[unit] = "bf16"
        else:
            result.stayed.append(Stayed(unit.name, unit.op, f"'{name}' reaches {size:.3g}, too large for {kind}"))
    return fits


def _choose(
    typed: onnx.ModelProto,
    found: Candidates,
    fits: dict[Unit, str],
    feeds: Sequence[Feeds],
    max_runs: int,
    result: Lowered,
) -> dict[Key, str]:
    """The precision of each node lowered within the budget; `result` gets the errors and the nodes that stay."""
    reference = run(typed, feeds)
    result.runs += 2

    def measure(units: Sequence[Unit]) -> dict[str, float]:
        result.runs += 1
        choice = with_moves(found, {key: fits[unit] for unit in units for key in unit.keys}, prune=False)
        return errors(reference, run(with_roundings(typed, choice), feeds))

    kept, reasons = search(list(fits), measure, result.budget, max_runs)
    result.stayed += [Stayed(unit.name, unit.op, why) for unit, why in reasons.items()]
    choice = with_moves(found, {key: fits[unit] for unit in kept for key in unit.keys})
    result.errors = errors(reference, run(with_roundings(typed, choice), feeds))
    return choice


def _keep_attention(found: Candidates, result: Lowered) -> None:
    asked = [unit for unit in found.units if unit.kind == "attention"]
    result.stayed += [Stayed(unit.name, unit.op, "attention was asked to stay unfused") for unit in asked]
    found.units = [unit for unit in found.units if unit.kind != "attention"]


def _keep_odd_convolutions(found: Candidates, result: Lowered) -> None:
    """Leave convolutions over an odd number of channels in float32.

    In half precision TensorRT-RTX 1.7.1 gives them one channel more, from a constant as large as the image: 2.1 MB of
    weights for 1024 x 1024 pixels, whatever the kernel's size.
    """
    kept = []
    for unit in found.units:
        scope, node = found.scopes[unit.keys[0][0]], found.node(unit.keys[0])
        weight = next((t for t in scope.graph.initializer if len(node.input) > 1 and t.name == node.input[1]), None)
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        channels = weight.dims[1] * group if unit.op == "Conv" and weight is not None else 0
        if channels % 2:
            why = f"reads {channels} channels; TensorRT pads an odd number of them with a stored constant"
            result.stayed.append(Stayed(unit.name, unit.op, why))
        else:
            kept.append(unit)
    found.units = kept


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
