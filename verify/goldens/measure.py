"""Run the cases of a golden, pack the right outputs, and measure how much each varies when nothing should change it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.compare.statistics import Limits, judge
from verify.compare.tolerance import FACTOR, STEP, STEPS, derive, negligible
from verify.errors import SurgeonError
from verify.goldens.cases import Plan
from verify.goldens.compact import channel_errors, pack, statistics
from verify.goldens.index import Case, Tensor
from verify.goldens.inputs import digest, store
from verify.goldens.outputs import bounded_outputs, check_outputs
from verify.goldens.runs import TIES, WEIGHTS, nudge, other_ways, random_operator, unrounded_models
from verify.run.session import open_session

if TYPE_CHECKING:
    import onnx

# Given inputs, the outputs to record, from another source than the model itself.
ReferenceOutputs = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# An output whose RMS error from run to run is above this share of its RMS shows no change.
MOST_NOISE = 0.01
# Seconds that recording may take before further optional cases are left out. A case is run about seven times.
MOST_SECONDS = 120.0
RUNS = 7
# Errors of a channel below this share of its RMS are always allowed.
LEAST_CHANNEL = 2e-5
AGAIN, NUDGED = "a second run", "inputs off by one rounding step"


@dataclass(frozen=True)
class Recorded:
    """Cases with the arrays that belong to them, and what the cases do not see."""

    cases: tuple[Case, ...]
    arrays: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass
class _Output:
    """One output of one case: its packed value, and the statistics of each run against it by label."""

    name: str
    key: str
    value: Any
    packed: Mapping[str, Any]
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)
    default: dict[str, dict[str, Any]] = field(default_factory=dict)
    channels: dict[int, Any] = field(default_factory=dict)

    def add(self, label: str, found: Any, default: bool = False) -> None:
        """Compare what a run gave."""
        figures = statistics(np.asarray(found), self.value.shape, str(self.value.dtype), self.packed)
        (self.default if default else self.plain)[label] = figures
        if not default:
            for axis, error in channel_errors(np.asarray(found), self.value.shape, self.packed).items():
                noise = np.full_like(error, error.max() / 4.0) if label in TIES else error
                self.channels[axis] = np.maximum(noise, self.channels.get(axis, 0.0))


@dataclass
class _Case:
    plan: Plan
    prefix: str
    inputs: dict[str, Any]
    outputs: list[_Output]
    unrounded: list[_Output] = field(default_factory=list)


def record_cases(
    path: Path,
    model: onnx.ModelProto,
    planned: Sequence[Sequence[Plan]],
    reference: ReferenceOutputs | None,
    progress: Callable[[str], None],
) -> Recorded:
    """Record each case with the first of its plans on which the model runs.

    Raises:
        SurgeonError: no case runs, the outputs are not the same in a second run, or they could tell nothing.
    """
    cases, notes = _first_runs(path, model, planned, reference, progress)
    for way in other_ways(path, model):
        progress(way.label)
        session = way.open()
        for case in cases:
            run = session.run(case.inputs)
            if not run.error:
                for output in case.outputs:
                    output.add(way.label, run.outputs[output.name], way.default)
            elif way.default:
                notes.append(f"case '{case.plan.name}' does not run with onnxruntime's optimisations: {run.error}")
    _record_unrounded(path, model, cases, progress)
    bounded = bounded_outputs(model)
    made = [_finish(case, bounded, notes) for case in cases]
    kept = [(case, arrays) for case, arrays in made if case.outputs]
    if not kept:
        raise SurgeonError(f"{path}: {'; '.join(dict.fromkeys(notes))}; no golden can hold it")
    notes += check_outputs(path, _values(cases), bounded)
    return Recorded(
        tuple(case for case, _ in kept),
        {key: array for _, arrays in kept for key, array in arrays.items()},
        tuple(dict.fromkeys(notes)),
    )


def _values(cases: Sequence[_Case]) -> dict[str, list[Any]]:
    """The arrays of each output, one for each case."""
    found: dict[str, list[Any]] = {}
    for case in cases:
        for output in case.outputs:
            found.setdefault(output.name, []).append(output.value)
    return found


def _record_unrounded(
    path: Path, model: onnx.ModelProto, cases: Sequence[_Case], progress: Callable[[str], None]
) -> None:
    """Record what an eight-bit model gives without its rounding, where that can be left out."""
    changed = unrounded_models(path, model)
    if changed is None:
        return
    progress("without rounding")
    plain, nudged = (open_session(content) for content in changed)
    for case in cases:
        runs = [plain.run(case.inputs), plain.run(nudge(case.inputs)), nudged.run(case.inputs)]
        if any(run.error for run in runs):
            continue
        case.unrounded = list(_outputs(path, f"{case.prefix}u", runs[0].outputs, runs[0].outputs))
        for output in case.unrounded:
            for label, run in zip((NUDGED, WEIGHTS), runs[1:], strict=True):
                output.add(label, run.outputs[output.name])


def _first_runs(
    path: Path,
    model: onnx.ModelProto,
    planned: Sequence[Sequence[Plan]],
    reference: ReferenceOutputs | None,
    progress: Callable[[str], None],
) -> tuple[list[_Case], list[str]]:
    """The cases that run, with what they give on one thread; and a note on each that does not."""
    session = open_session(path)
    random = random_operator(model)
    cases: list[_Case] = []
    notes: list[str] = []
    started, error = time.perf_counter(), session.error
    for number, alternatives in enumerate(planned):
        name = alternatives[0].name
        if cases and alternatives[0].optional and (time.perf_counter() - started) * RUNS / 3 > MOST_SECONDS:
            notes.append(f"case '{name}' was left out: the model takes too long")
            continue
        progress(f"1 thread{f', {name}' if name else ''}")
        for plan in alternatives:
            inputs = plan.arrays()
            run = session.run(inputs)
            if not run.error:
                break
        if run.error:
            error = run.error
            notes.append(f"case '{name}' does not run: {error}")
            continue
        right = dict(reference(inputs)) if reference else run.outputs
        case = _Case(plan, f"c{number}", inputs, list(_outputs(path, f"c{number}", run.outputs, right)))
        for output in case.outputs:
            if reference:
                output.add("1 thread", run.outputs[output.name])
        for label, given in ((AGAIN, inputs), (NUDGED, nudge(inputs))):
            again = session.run(given)
            for output in case.outputs if not again.error else ():
                output.add(label, again.outputs[output.name])
        _require_same(path, case, random)
        cases.append(case)
    if not cases:
        raise SurgeonError(f"{path}: cannot be run to record a golden: {error}")
    return cases, notes


def _outputs(path: Path, prefix: str, names: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[_Output]:
    for index, name in enumerate(names):
        if name not in right:
            raise SurgeonError(f"{path}: the reference gives no output {name!r}")
        value = np.asarray(right[name])
        yield _Output(name, f"{prefix}o{index}", value, pack(value))


def _require_same(path: Path, case: _Case, random: str) -> None:
    """SurgeonError where a second run gives something else: no golden can hold a model that draws random numbers."""
    for output in case.outputs:
        wrong = judge(output.plain[AGAIN], Limits(max_abs=0.0)) if AGAIN in output.plain and random else []
        if wrong:
            why = f"{random} draws random numbers"
            raise SurgeonError(
                f"{path}: output {output.name!r} does not come out the same: {why}; no golden can hold it"
            )


def _finish(case: _Case, bounded: set[str], notes: list[str]) -> tuple[Case, dict[str, Any]]:
    """The case as it is stored, without outputs that rounding alone changes too much, and its arrays."""
    arrays: dict[str, Any] = {}
    tensors = []
    where = f" in case '{case.plan.name}'" if case.plan.name else ""
    for output in case.outputs:
        wrong = _noisy(output.plain, _atol(output, bounded))
        if wrong:
            notes.append(f"output '{output.name}'{where} does not come out the same: {wrong}")
            continue
        arrays |= _arrays(output)
        noise_by_default = _noisy(output.default, _atol(output, bounded))
        if noise_by_default:
            notes.append(f"onnxruntime's optimisations change output '{output.name}'{where}: {noise_by_default}")
        tensors.append(_tensor(output, _atol(output, bounded), not noise_by_default))
    unrounded = [output for output in case.unrounded if not _noisy(output.plain, _atol(output, bounded))]
    for output in unrounded:
        arrays |= _arrays(output)
    stored, inputs = _inputs(case)
    more = tuple(_tensor(output, _atol(output, bounded), False) for output in unrounded)
    return Case(case.plan.name, tuple(inputs), tuple(tensors), digest(case.inputs), more), arrays | stored


def _arrays(output: _Output) -> dict[str, Any]:
    """What is stored of an output: its packed value, and for each channel the error that is allowed."""
    arrays = {f"{output.key}.{key}": array for key, array in output.packed.items()}
    for axis, noise in output.channels.items():
        allowed = np.maximum(FACTOR * np.maximum(noise, np.median(noise)), LEAST_CHANNEL)
        arrays[f"{output.key}.allowed{axis}"] = allowed.astype(np.float32)
    return arrays


def _atol(output: _Output, bounded: set[str]) -> float:
    """The absolute error to ignore: some rounding steps of the number 1 for an output that is bounded by 1."""
    return STEPS * STEP.get(str(output.value.dtype), 0.0) if output.name in bounded else 0.0


def _noisy(runs: Mapping[str, Mapping[str, Any]], atol: float) -> str:
    """Words for how runs differ that should be equal up to rounding; empty where they are."""
    for label, figures in runs.items():
        wrong = judge(figures, Limits(rms_rel=MOST_NOISE * (4.0 if label in TIES else 1.0)))
        if wrong and not negligible(figures, atol):
            return f"{wrong[0]} ({label})"
    return ""


def _tensor(output: _Output, atol: float, with_default: bool) -> Tensor:
    value, largest = output.value, 0.0
    if value.dtype.kind == "f" and value.size:
        largest = float(np.max(np.abs(value), initial=0.0, where=np.isfinite(value)))
    runs = {**output.plain, **output.default}
    rms = max((float(run.get("rms", 1.0)) for run in runs.values()), default=1.0)

    def tolerance(of: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        found = derive(of, str(value.dtype), min(largest / rms, MOST_PEAK), atol, TIES)
        return {k: _round(v) if not isinstance(v, str) else v for k, v in found.items()}

    tensor = Tensor(output.name, str(value.dtype), tuple(value.shape), output.key, tight=tolerance(output.plain))
    return replace(tensor, tolerance=tolerance(runs)) if with_default and output.default else tensor


MOST_PEAK = 1e4  # parts of RMS; above it a value is a fill and not the top of a distribution


def _round(value: Any) -> Any:
    return {k: _round(v) for k, v in value.items()} if isinstance(value, dict) else float(f"{value:.3g}")


def _inputs(case: _Case) -> tuple[dict[str, Any], list[Tensor]]:
    stored, tensors = {}, []
    for index, (name, array) in enumerate(case.inputs.items()):
        tensor = Tensor(name, str(array.dtype), tuple(array.shape), drawn=case.plan.drawn.get(name))
        if tensor.drawn is None:
            tensor = replace(tensor, key=f"{case.prefix}i{index}")
            stored[tensor.key] = store(array)
        tensors.append(tensor)
    return stored, tensors
