"""Run a model on the cases of a golden and compare every output with what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from verify.compare.channels import worst
from verify.compare.statistics import share_above
from verify.compare.tolerance import exceeded
from verify.errors import SurgeonError
from verify.goldens.compact import channel_errors, statistics
from verify.goldens.index import Case, Tensor
from verify.goldens.inputs import make_inputs
from verify.run.session import Model, open_session

FORMS = ({"whole"}, {"levels", "codes"}, {"probes", "sums", "special"})


@dataclass
class Comparison:
    """What one way of running gave: statistics by output and case, what is wrong, and the cases that did not run."""

    tensors: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    backend: str = ""


def compare_runs(
    model: Model, cases: Sequence[Case], data: Mapping[str, Any], scale: float, which: str, **options: Any
) -> Comparison:
    """Run each case once and compare its outputs.

    Args:
        which: "tolerance": outputs of onnxruntime's default; "tight": of an unoptimised run on one thread;
            "unrounded": of an eight-bit model without its rounding (`verify.run.unrounded`).
        options: of `open_session`.
    """
    result = Comparison()
    wanted = [(case, expected(case, which)) for case in cases]
    if not any(outputs for _, outputs in wanted):
        return result
    session = open_session(model, **options)
    result.backend = session.backend
    words = " without rounding" if which == "unrounded" else ""
    if session.error:
        result.not_run = result.wrong = [f"the model cannot be run{words}: {session.error}"]
        return result
    for case, outputs in wanted:
        run = session.run(make_inputs(case, data))
        where = f" ({case.name})" if case.name else ""
        if run.error:
            result.not_run.append(f"the model cannot be run{words}{where}: {run.error}")
            result.wrong += result.not_run[-1:]
            continue
        found, wrong = compare_case(run.outputs, outputs, data, scale, which != "tolerance")
        result.tensors |= {name + where: figures for name, figures in found.items()}
        result.wrong += [f"{name}{words}{where}: {problem}" for name, problem in wrong]
    return result


def compare_case(
    found: Mapping[str, Any],
    wanted: Sequence[tuple[Tensor, Mapping[str, Any]]],
    data: Mapping[str, Any],
    scale: float = 1.0,
    by_channel: bool = True,
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Statistics of each output of one run, and what is wrong as pairs of an output's name and words."""
    tensors: dict[str, dict[str, Any]] = {}
    wrong = []
    for output, tolerance in wanted:
        figures = _figures(found[output.name], output, data, tolerance, scale, by_channel)
        tensors[output.name] = figures
        wrong += [(output.name, problem) for problem in exceeded(figures, tolerance, scale)]
    return tensors, wrong


def compare_outputs(
    outputs: Mapping[str, Any],
    case: Case,
    data: Mapping[str, Any],
    scale: float,
    tolerances: Mapping[str, Mapping[str, Any]],
) -> Comparison:
    """Compare outputs that were computed elsewhere with those of a case.

    Args:
        outputs: arrays by name, in the recorded types.
        tolerances: by name, of the outputs to compare.
    """
    where = f" ({case.name})" if case.name else ""
    wanted = [(output, tolerances[output.name]) for output in case.outputs if output.name in tolerances]
    found, wrong = compare_case(outputs, [pair for pair in wanted if pair[0].name in outputs], data, scale, False)
    return Comparison(
        {name + where: figures for name, figures in found.items()},
        [f"{name}{where}: {problem}" for name, problem in wrong],
    )


def expected(case: Case, which: str) -> list[tuple[Tensor, dict[str, Any]]]:
    """The outputs of a case that are compared in one way of running, with their tolerances."""
    outputs = case.unrounded if which == "unrounded" else case.outputs
    found = [(output, output.tolerance if which == "tolerance" else output.tight) for output in outputs]
    return [(output, dict(tolerance)) for output, tolerance in found if tolerance]


def _figures(
    value: Any, output: Tensor, data: Mapping[str, Any], tolerance: Mapping[str, Any], scale: float, by_channel: bool
) -> dict[str, Any]:
    found = output_statistics(value, output, data)
    if by_channel and "problem" not in found:
        packed = _packed(output, data)
        allowed = {axis: packed[f"allowed{axis}"] for axis in range(len(output.shape)) if f"allowed{axis}" in packed}
        found |= worst(channel_errors(np.asarray(value), output.shape, packed), allowed)
    if "histogram" in found:
        found["out_of_tolerance"] = share_above(found, scale * tolerance["max_rel"])
    return {**found, "tolerance": {k: v for k, v in tolerance.items() if k != "noise"}}


def output_statistics(actual: Any, output: Tensor, data: Mapping[str, Any]) -> dict[str, Any]:
    """Error statistics of one output against its packed golden."""
    packed = _packed(output, data)
    if not any(needed <= set(packed) for needed in FORMS):
        raise SurgeonError(f"the golden's data lacks {output.name!r}; record it again")
    try:
        return statistics(np.asarray(actual), output.shape, output.dtype, packed)
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise SurgeonError(f"the golden of {output.name!r} is damaged ({error}); record it again") from None


def _packed(output: Tensor, data: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{output.key}."
    return {key.removeprefix(prefix): array for key, array in data.items() if key.startswith(prefix)}
