"""Two models compared tensor by tensor on several inputs: sizes of their free dims, and both branches of each If."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from verify.compare.divergence import Divergence, Way, as_check, diverge
from verify.errors import SurgeonError
from verify.goldens.cases import Plan, has_branches, own_cases
from verify.goldens.quality.coverage import measure_coverage
from verify.inputs.draw import draw_inputs, free_dims
from verify.report import Check
from verify.run.session import open_session

if TYPE_CHECKING:
    from verify.compare.statistics import Limits

SIZES = ("normal", "batch of one")  # cases that differ in sizes alone
BRANCHES = ("If ", "Loop ")


@dataclass(frozen=True)
class Compared:
    """The first divergence, or that with the largest difference where all agree; its inputs in words; and how many
    inputs were compared."""

    found: Divergence
    inputs: str
    count: int
    unreached: tuple[str, ...] = ()

    def check(self, one: Way, other: Way, where: str = "") -> Check:
        """The result as a check; `where` is the source of the node that differs first."""
        check = as_check(self.found, one, other, where)
        words = f"; with inputs {self.inputs}" if self.inputs and self.found.first else ""
        several = f", with {self.count} sets of inputs" if self.count > 1 and not self.found.first else ""
        unreached = "".join(f"; {sentence}" for sentence in self.unreached)
        figures = {**check.figures, "inputs": self.count} | ({"unreached": list(self.unreached)} if unreached else {})
        return replace(check, message=f"{check.message}{words}{several}{unreached}", figures=figures)


def compare_models(one: Way, other: Way, sizes: Mapping[str, int], seed: int, limits: Limits) -> Compared:
    """Compare two models on drawn inputs until they differ.

    First all dims that are not in `sizes` are 1. Where a model has free dims, further sizes follow; where it has an If,
    all kinds of inputs that a golden is recorded with, so that both branches may run.

    Raises:
        SurgeonError: a run with the first inputs fails.
    """
    model = one.model
    first = draw_inputs(model, sizes=dict(sizes), seed=seed)
    found = diverge(one, other, first, limits)
    feeds: list[Mapping[str, Any]] = [first]
    furthest = (found, "")
    for name, feed in _further(one, sizes, seed) if found.first is None else ():
        try:
            found = diverge(one, other, feed, limits)
        except SurgeonError as error:
            raise SurgeonError(f"{error}; with inputs {name}") from None
        feeds.append(feed)
        if found.first is not None or _largest(found) > _largest(furthest[0]):
            furthest = (found, name)
        if found.first is not None:
            break
    unreached: tuple[str, ...] = ()
    if furthest[0].first is None and has_branches(model):
        said = measure_coverage(one.folder / "model.onnx", model, feeds)
        unreached = tuple(sentence for sentence in said if sentence.startswith(BRANCHES))
    return Compared(*furthest, len(feeds), unreached)


def _largest(found: Divergence) -> float:
    return 0.0 if found.furthest is None else float(found.furthest.statistics.get("max_rel", 0.0))


def _further(one: Way, sizes: Mapping[str, int], seed: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Further inputs on which the first model runs, each with its sizes in words."""
    model, branches = one.model, has_branches(one.model)
    free = [key for key in free_dims(model) if key not in sizes]
    if not free and not branches:
        return
    session = open_session(model, base_dir=one.folder, **one.options)
    for alternatives in own_cases(model, seed, sizes):
        if not branches and alternatives[0].name not in SIZES:
            continue
        for plan in alternatives:
            feed = plan.arrays()
            if not session.run(feed).error:
                yield _words(plan, feed), feed
                break


def _words(plan: Plan, feed: Mapping[str, Any]) -> str:
    """Name and shapes of drawn inputs, such as "normal, x:3x8"."""
    shapes = [f"{name}:{'x'.join(map(str, array.shape))}" for name, array in feed.items() if array.shape]
    return ", ".join([plan.name, *shapes])
