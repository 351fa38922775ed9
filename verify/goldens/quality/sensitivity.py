"""Measures, when a golden is recorded, which small faults of the model it catches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.compare import channels
from verify.compare.error import measure
from verify.faults.fixed import first_changed, fixed_tensors, reaches_outputs, same_axes
from verify.faults.plant import Fault, load, plant
from verify.goldens.cases import Plan
from verify.goldens.compare import compare_case, expected
from verify.goldens.index import Case
from verify.goldens.inputs import make_inputs
from verify.run.session import BACKENDS, Session, open_session

if TYPE_CHECKING:
    import onnx

FAULTS = 60
ATTEMPTS = 6 * FAULTS
SECONDS = 20.0
# Share of the RMS of a channel that a fault must change somewhere to be one.
MATERIAL = 1e-3
MOST_PROBES = 12
SHOWN = 50  # most faults that were not caught, in the index
# Share of the faults that `verify --strict` wants a golden to catch. In a model that takes long only about a dozen are
# planted, of which one or two are of a kind that valid inputs never show.
LEAST_SHARE = 0.8


@dataclass
class _Measured:
    planted: int = 0
    caught: int = 0
    slipped: list[dict[str, str]] = field(default_factory=list)
    no_effect: int = 0
    too_small: int = 0


@dataclass
class _Original:
    """The model without a fault: what it gives for the golden's inputs and, when needed, for further ones."""

    path: Path
    model: onnx.ModelProto
    feeds: Sequence[Mapping[str, Any]]
    further: Sequence[Sequence[Plan]]

    @cached_property
    def session(self) -> Session:
        return open_session(self.path)

    @cached_property
    def recorded(self) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Inputs of the golden's cases, with the outputs."""
        return [(feed, self.session.run(feed).outputs) for feed in self.feeds]

    @cached_property
    def probes(self) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Further inputs with the outputs, in cases that the model runs."""
        found: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        for alternatives in self.further[:MOST_PROBES]:
            for plan in alternatives:
                feed = plan.arrays()
                run = self.session.run(feed)
                if not run.error:
                    found.append((feed, run.outputs))
                    break
        return found

    @cached_property
    def fixed(self) -> set[str]:
        return fixed_tensors(self.model)


def measure_sensitivity(
    path: Path,
    cases: Sequence[Case],
    data: Mapping[str, Any],
    further: Sequence[Sequence[Plan]],
    seed: int,
    seconds: float = SECONDS,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Plant faults in the model at `path` and see which of them its golden catches.

    Faults that stop the model from running are not planted. Those that change no output by proof, or none by more than
    a thousandth of a channel's RMS on the golden's inputs and on `further` ones, are not counted as planted.

    Args:
        further: cases that the golden does not have.
        seconds: planting ends after so many seconds, or after 60 faults.

    Returns:
        JSON types: "planted", "caught", "no_effect", "too_small" (numbers of faults), "seed", and "slipped", a list of
        {"kind", "place", "why"}.
    """
    feeds = [make_inputs(case, data) for case in cases]
    original = _Original(path, load(path), feeds, further)
    result = _Measured()
    started = time.perf_counter()
    for attempt, fault in enumerate(plant(original.model, seed)):
        spent = time.perf_counter() - started
        if result.planted >= FAULTS or attempt >= ATTEMPTS or (spent > seconds and result.planted):
            break
        progress(f"planting faults: {result.planted} planted, {result.caught} caught")
        _try(fault, original, cases, data, result)
    return vars(result) | {"seed": seed, "slipped": result.slipped[:SHOWN]}


def _try(fault: Fault, original: _Original, cases: Sequence[Case], data: Mapping[str, Any], result: _Measured) -> None:
    backend = original.session.backend
    session = open_session(
        fault.model, base_dir=original.path.parent, backend=backend if backend in BACKENDS else "auto"
    )
    first = session.run(original.feeds[0])
    if first.error:
        return  # anyone would notice
    in_first = bool(compare_case(first.outputs, expected(cases[0], "tight"), data)[1])
    caught = in_first or _is_caught(session, cases[1:], original.feeds[1:], data, "tight")
    if caught or _is_caught_unrounded(fault, original, cases, data):
        result.planted += 1
        result.caught += 1
        return
    if _proven_unchanged(fault, original):
        result.no_effect += 1
        return
    why = _why(session, original)
    if why is None:
        result.too_small += 1
        return
    result.planted += 1
    result.slipped.append({"kind": fault.kind, "place": fault.place, "why": why})


def _is_caught(
    session: Session, cases: Sequence[Case], feeds: Sequence[Mapping[str, Any]], data: Mapping[str, Any], which: str
) -> bool:
    """Whether a case of the golden fails, as `surgeon verify` would find it."""
    for case, feed in zip(cases, feeds, strict=True):
        wanted = expected(case, which)
        run = session.run(feed) if wanted else None
        if run is not None and (run.error or compare_case(run.outputs, wanted, data)[1]):
            return True
    return False


def _is_caught_unrounded(fault: Fault, original: _Original, cases: Sequence[Case], data: Mapping[str, Any]) -> bool:
    from verify.run.unrounded import without_rounding

    if not any(case.unrounded for case in cases):
        return False
    changed = without_rounding(fault.model)
    return changed is not None and _is_caught(open_session(changed), cases, original.feeds, data, "unrounded")


def _proven_unchanged(fault: Fault, original: _Original) -> bool:
    """Whether a fault changes nothing whatever the inputs are.

    It reaches no output, counts the same axes in another way, or computes the same constants.
    """
    from verify.compare.divergence_graph import fetching

    changed = first_changed(original.model, fault.model)
    if not reaches_outputs(original.model, changed) or same_axes(original.model, fault.model):
        return True
    if not changed or not set(changed) <= original.fixed:
        return False
    runs = [
        open_session(fetching(model, changed), base_dir=original.path.parent).run(original.feeds[0])
        for model in (original.model, fault.model)
    ]
    return not any(run.error for run in runs) and all(
        np.array_equal(value, runs[1].outputs[name], equal_nan=value.dtype.kind == "f")
        for name, value in runs[0].outputs.items()
    )


def _why(session: Session, original: _Original) -> str | None:
    """Why the golden does not catch a fault; None where it is too small to be one on all inputs that were tried."""
    recorded = _first_effect(session, original.recorded)
    if recorded > MATERIAL:
        return f"it changes outputs by {recorded:.1g} of RMS, within the tolerance"
    elsewhere = _first_effect(session, original.probes)
    if elsewhere > MATERIAL:
        return "other inputs show it, those of the golden do not"
    return None if recorded or elsewhere else "no input that was drawn shows it"


def _first_effect(session: Session, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> float:
    """The first effect above `MATERIAL`, else the largest; 0 where there is none."""
    largest = 0.0
    for found in _effects(session, pairs):
        largest = max(largest, found)
        if largest > MATERIAL:
            break
    return largest


def _effects(session: Session, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[float]:
    for feed, right in pairs:
        run = session.run(feed)
        yield (
            math.inf
            if run.error
            else max((effect(run.outputs[name], value) for name, value in right.items()), default=0)
        )


def effect(actual: Any, expected: Any) -> float:
    """Largest RMS error of a tensor and of its channels, in parts of the RMS there; infinite where it is of another
    shape or type, or NaN in other places."""
    if np.shape(actual) != np.shape(expected) or getattr(actual, "dtype", None) != getattr(expected, "dtype", None):
        return math.inf
    if not isinstance(expected, np.ndarray) or expected.dtype.kind in "OSU":
        return 0.0 if np.array_equal(actual, expected) else math.inf
    error = measure(actual, expected)
    if not error.same_places:
        return math.inf
    found, wanted = (np.where(error.finite, np.asarray(a, np.float64), 0.0) for a in (actual, expected))
    each = [float(channels.errors(found, wanted, axis).max()) for axis in channels.axes(expected.shape)]
    return max([error.root_mean_square if error.count else 0.0, *each])


def share(sensitivity: Mapping[str, Any]) -> float | None:
    """Share of the planted faults that were caught; None where none was planted."""
    planted = int(sensitivity.get("planted", 0))
    return int(sensitivity.get("caught", 0)) / planted if planted else None


def describe(sensitivity: Mapping[str, Any]) -> str:
    """One line, such as "catches 47 of 50 planted faults (94 %)"."""
    caught = share(sensitivity)
    if caught is None:
        return "no fault could be planted" if sensitivity else "not measured; record it again"
    return f"catches {sensitivity['caught']} of {sensitivity['planted']} planted faults ({caught:.0%})"


def slipped(sensitivity: Mapping[str, Any]) -> list[str]:
    """The faults that were not caught, one line each."""
    return [f"{one['kind']}, {one['place']}: {one['why']}" for one in sensitivity.get("slipped", ())]
