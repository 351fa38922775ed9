"""Finds a small set of units that must stay in float32, by measuring.

1. Order: groups of units are measured alone, everything else in float32, and the group that costs most is split again
   and again. Roundings of different nodes are nearly independent, so the squares of what they do to an output add up:
   a group's square, shared among the GPU time its units take, orders the units by what returning them gains.
2. Bisect: the shortest start of that order that must return to float32 for the error to be within the budget.
3. Give back: parts of it that fit beside the rest after all go down again, the cheapest first.

Only measured choices are returned, so neither the order nor the sum of squares needs to be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from surgery.precision.candidates import Unit

Measure = Callable[[Sequence[Unit]], Mapping[str, float]]
# The GPU time that a unit in float32 costs, as a weight of its error: attention is returned to float32 last.
WORTH = {"attention": 30.0, "heavy": 4.0, "light": 1.0}
ORDERING = 0.6  # share of the runs that go into the order
NEGLIGIBLE = 0.1  # of the budget: a group that costs less is not split


def search(units: Sequence[Unit], measure: Measure, budget: float, max_runs: int) -> tuple[list[Unit], dict[Unit, str]]:
    """Units to lower, and for each of the others why it stays.

    Args:
        measure: error of each output when exactly these units are lowered.
        budget: most that any of them may be.
        max_runs: most calls of `measure`.
    """
    if not units:
        return [], {}
    runs = _Runs(units, measure, budget, max_runs)
    total = runs.error(units)
    if total <= budget:
        return list(units), {}
    groups = _split(runs, total)
    kept = _give_back(runs, _bisect(runs, groups))
    why = {unit: _why(group) for group in groups for unit in group.units}
    return [unit for unit in units if unit not in kept], {unit: why[unit] for unit in units if unit in kept}


class _Runs:
    """Measures choices of units, and counts how often."""

    def __init__(self, units: Sequence[Unit], measure: Measure, budget: float, max_runs: int) -> None:
        self.units, self.measure, self.budget, self.left = list(units), measure, budget, max_runs
        self.most = max_runs

    def error(self, lowered: Sequence[Unit]) -> float:
        """The worst error with exactly these units in half precision."""
        if not lowered:
            return 0.0
        self.left -= 1
        return max(self.measure(lowered).values(), default=0.0)

    def within(self, kept: Sequence[Unit]) -> bool:
        """Whether the error is within the budget with these units in float32."""
        staying = set(kept)
        return self.error([unit for unit in self.units if unit not in staying]) <= self.budget


class _Group:
    """Units measured together, and their error; compared by identity."""

    def __init__(self, units: Sequence[Unit], error: float) -> None:
        self.units, self.error = list(units), error

    def parts(self) -> list[list[Unit]]:
        """Two or more smaller groups: one for each kind of unit, else the two halves in graph order."""
        kinds = {kind: [unit for unit in self.units if unit.kind == kind] for kind in WORTH}
        parts = [part for part in kinds.values() if part]
        if len(parts) == 1:
            middle = len(self.units) // 2
            parts = [self.units[:middle], self.units[middle:]]
        return parts


def _gain(group: _Group) -> float:
    """What a unit of GPU time gains that the group spends in float32."""
    return group.error**2 / math.fsum(WORTH[unit.kind] for unit in group.units)


def _split(runs: _Runs, total: float) -> list[_Group]:
    """All units in groups, the finer the more they cost."""
    groups = [_Group(runs.units, total)]
    least = runs.most * (1 - ORDERING)
    while runs.left > least:
        wide = [g for g in groups if len(g.units) > 1 and g.error > NEGLIGIBLE * runs.budget]
        if not wide or all(len(group.units) == 1 for group in _returning(groups, runs.budget)):
            break
        widest = max(wide, key=lambda group: group.error)
        groups.remove(widest)
        groups += _measured_parts(runs, widest)
    return groups


def _measured_parts(runs: _Runs, group: _Group) -> list[_Group]:
    """The parts of a group. The last one is not run where the others cost so little that it must cost the whole."""
    *others, last = group.parts()
    found = [_Group(part, runs.error(part)) for part in others]
    rest = math.fsum(part.error**2 for part in found)
    alone = rest < (NEGLIGIBLE * group.error) ** 2
    return [*found, _Group(last, group.error if alone else runs.error(last))]


def _returning(groups: Sequence[_Group], budget: float) -> list[_Group]:
    """The groups that gain most, as many as must return for the squares of the rest to add up to the budget."""
    order = sorted(groups, key=_gain, reverse=True)
    for place in range(len(order)):
        if math.sqrt(math.fsum(group.error**2 for group in order[place:])) <= budget:
            return order[:place]
    return order


def _bisect(runs: _Runs, groups: Sequence[_Group]) -> list[Unit]:
    """The fewest units, those that gain most, with which in float32 the rest was measured to be within the budget."""
    order = [unit for group in sorted(groups, key=_gain, reverse=True) for unit in group.units]
    low, high = 0, len(order)  # none is too few, all are enough
    middle = sum(len(group.units) for group in _returning(groups, runs.budget))
    while high - low > 1 and runs.left > 0:
        middle = middle if low < middle < high else (low + high) // 2
        if runs.within(order[:middle]):
            high, middle = middle, 0
        else:
            low, middle = middle, 2 * middle
    return order[:high]


def _give_back(runs: _Runs, kept: Sequence[Unit]) -> set[Unit]:
    """What of `kept` must stay after the parts that fit beside the rest went down, those that gain least first."""
    staying = list(kept)
    size = len(staying) // 2
    while size and runs.left > 0:
        end = len(staying) - (1 if size == 1 else 0)
        while end > 0 and runs.left > 0:
            start = max(0, end - size)
            less = staying[:start] + staying[end:]
            if less and runs.within(less):
                staying = less
            end = start
        size //= 2
    return set(staying)


def _why(group: _Group) -> str:
    if not math.isfinite(group.error):
        return "its values overflow or stop being numbers"
    if len(group.units) == 1:
        return f"it moves an output by {group.error:.2g} of its RMS"
    return f"it, or the group it was measured with, moves an output by {group.error:.2g} of its RMS"
