"""Finds the first tensor, in topological order, that differs between two models or two ways to run one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.compare.divergence_graph import Pair, fetching, first_inside, nodes_near, pairs, rounded, size_of
from verify.compare.statistics import Limits, judge, tensor_statistics
from verify.errors import SurgeonError
from verify.model.read import read_model
from verify.report import Check

BATCH_BYTES = 256 << 20
HALVES = ("float16", "bfloat16")


@dataclass(frozen=True)
class Way:
    """How a model is run: its proto, the folder of its external data, and options of `open_session`."""

    label: str
    model: Any
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One tensor of both runs: its names, the node that makes it, and the statistics of its error."""

    pair: Pair
    statistics: Mapping[str, Any]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Divergence:
    """What `diverge` found: the first step out of tolerance, those that lead into it and those that follow.

    Where all are within: `furthest`, with the largest error, and `unequal`, the first that is not the same bit by bit.
    """

    compared: int
    first: Step | None = None
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    furthest: Step | None = None
    unequal: Step | None = None


def way(path: Path, other: str = "") -> Way:
    """The model at `path` as it is, or with `other` run another way.

    `other` is "optimized" (onnxruntime's own rewrites), "reference" (onnx.reference), "float16" or "bfloat16" (every
    float32 tensor rounded to that type after each node, as an engine of that type stores it) or a provider's name.

    Raises:
        SurgeonError: the file is no model, or `other` is none of these.
    """
    model = read_model(path)
    label, folder = f"{path} ({other})" if other else str(path), path.parent
    if other in HALVES:
        return Way(label, rounded(model, other), folder)
    options: dict[str, dict[str, Any]] = {
        "": {},
        "optimized": {"optimize": True},
        "reference": {"backend": "reference"},
    }
    if other in options:
        return Way(label, model, folder, options[other])
    if other.endswith("ExecutionProvider"):
        return Way(label, model, folder, {"providers": (other,)})
    raise SurgeonError(
        f"'{other}' is neither a file nor a way to run one; use optimized, reference, float16, bfloat16 or a provider"
    )


def diverge(
    one: Way, other: Way, inputs: Mapping[str, Any], limits: Limits, batch_bytes: int = BATCH_BYTES
) -> Divergence:
    """Compare the tensors both runs have, in the order `one` makes them, until one is out of `limits`.

    Tensors are fetched in batches of at most `batch_bytes` a run (a single larger one goes alone), so that memory stays
    bounded; tensors inside subgraphs are not looked at.

    Raises:
        SurgeonError: a run fails.
    """
    both = pairs(one.model, other.model)
    done: dict[str, Step] = {}
    for batch in _batches(one.model, both, batch_bytes):
        for step in _compare(one, other, batch, inputs, limits):
            done[step.pair.name] = step
        first = next((done[pair.name] for pair in batch if done[pair.name].wrong), None)
        if first is not None:
            return _around(one, other, first, both, done, inputs, limits)
    unequal = [step for step in done.values() if step.statistics.get("max_abs", 0.0) > 0.0]
    furthest = max(unequal, key=lambda step: float(step.statistics["max_rel"]), default=None)
    return Divergence(len(done), furthest=furthest, unequal=unequal[0] if unequal else None)


def _around(
    one: Way,
    other: Way,
    first: Step,
    both: Sequence[Pair],
    done: dict[str, Step],
    inputs: Mapping[str, Any],
    limits: Limits,
) -> Divergence:
    before, after = nodes_near(one.model, first.pair.name)
    known = {pair.name: pair for pair in both}
    missing = [known[name] for name in (*before, *after) if name in known and name not in done]
    compared = len(done)
    for step in _compare(one, other, missing, inputs, limits) if missing else ():
        done[step.pair.name] = step
    return Divergence(
        compared,
        first,
        tuple(done[name] for name in before if name in done),
        tuple(done[name] for name in after if name in done),
    )


def _compare(one: Way, other: Way, batch: Sequence[Pair], inputs: Mapping[str, Any], limits: Limits) -> Iterator[Step]:
    left = _fetch(one, [pair.name for pair in batch], inputs)
    right = _fetch(other, [pair.other for pair in batch], inputs)
    for pair in batch:
        statistics = tensor_statistics(right[pair.other], left[pair.name])
        yield Step(pair, statistics, tuple(judge(statistics, limits)))


def _fetch(way: Way, names: Sequence[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    from verify.run.session import open_session

    session = open_session(fetching(way.model, names), base_dir=way.folder, **way.options)
    run = session.run(inputs)
    if run.error:
        raise SurgeonError(f"{way.label}: cannot be run: {run.error}")
    return run.outputs


def _batches(model: Any, both: Sequence[Pair], limit: int) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    used = 0
    sizes = size_of(model)
    for pair in both:
        size = sizes.get(pair.name, 1 << 20)
        if batch and used + size > limit:
            yield batch
            batch, used = [], 0
        batch.append(pair)
        used += size
    if batch:
        yield batch


def _brief(step: Step) -> str:
    if "rms_rel" not in step.statistics:
        return f"({'; '.join(step.wrong) or 'same'})"
    return f"{step.statistics['rms_rel']:.2g} RMS"


def _closeness(found: Divergence) -> str:
    """Words for how closely all tensors agree: in every bit, or the largest error and the first unequal tensor."""
    if found.furthest is None or found.unequal is None:
        return " in every bit"
    largest = f"largest error / RMS {found.furthest.statistics['max_rel']:.2g} at '{found.furthest.pair.name}'"
    pair = found.unequal.pair
    return f"; {largest}; the first that differs in any bit is '{pair.name}', made by {pair.op} '{pair.node}'"


def _inside(pair: Pair, one: Way, other: Way) -> str:
    """Words for the first node inside an If, Loop or Scan that differs between the models; "" where there is none."""
    found = first_inside(one.model, other.model, pair)
    return f", of which the first difference inside is {found}" if found else ""


def as_check(found: Divergence, one: Way, other: Way, where: str = "") -> Check:
    """The result as a check whose figures hold the tensors' statistics; `where` is the source of the first's node."""
    if found.first is None:
        text = f"{found.compared} tensors of {one.label} and {other.label} agree{_closeness(found)}"
        return Check("against", "pass" if found.compared else "skip", text if found.compared else "no tensor in common")
    pair = found.first.pair
    also = (
        f" ('{pair.other}' there{', by provenance' if pair.by == 'provenance' else ''})"
        if pair.other != pair.name
        else ""
    )
    place = f" ({where})" if where else ""
    text = (
        f"the first tensor that differs from {other.label} is '{pair.name}'{also}, made by {pair.op} '{pair.node}'"
        f"{place}{_inside(pair, one, other)}: {'; '.join(found.first.wrong)}; {found.compared} compared up to there"
    )
    for words, near in (("what it reads", found.before), ("what is made of it", found.after)):
        shown = [f"{step.pair.name} {_brief(step)}" for step in near[:4]]
        text += f"; {words}: {', '.join(shown)}" if shown else ""
    steps = [*found.before, found.first, *found.after]
    roles = ["before"] * len(found.before) + ["first"] + ["after"] * len(found.after)
    tensors = {
        step.pair.name: {"place": role, "op": step.pair.op, **step.statistics}
        for role, step in zip(roles, steps, strict=True)
    }
    figures = {"first": pair.name, "node": pair.node, "op": pair.op, "compared": found.compared, "tensors": tensors}
    return Check("against", "fail", text, figures)
