"""Finds the units that cost too much, by group testing.

Roundings of different nodes are nearly independent, so the squares of what they do to an output add up. The error of
half the units, with the rest in float32, then says where the cost lies, and halving again leads to the few that matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from surgery.precision.candidates import Unit

Measure = Callable[[Sequence[Unit]], Mapping[str, float]]
# The GPU time that a unit in float32 costs, as a weight of its error: attention is returned to float32 last.
WORTH = {"attention": 30.0, "heavy": 4.0, "light": 1.0}
# The search aims below the budget, because the sum of squares is an estimate.
AIM = 0.8


def search(units: Sequence[Unit], measure: Measure, budget: float, max_runs: int) -> tuple[list[Unit], dict[Unit, str]]:
    """Units to lower, and for each of the others why it stays.

    Args:
        measure: error of each output when exactly these units are lowered.
        budget: most that any of them may be.
        max_runs: most calls of `measure`.
    """
    if not units:
        return [], {}
    spent = 1
    total = _worst(measure(units))
    if total <= budget:
        return list(units), {}
    groups = {_Group(list(units)): total}
    reasons: dict[Unit, str] = {}
    while spent < max_runs:
        plan = _give_up(groups, budget)
        if all(len(group.units) == 1 for group in plan):
            kept = [unit for unit in units if not any(unit in group.units for group in plan)]
            spent += 1
            found = _worst(measure(kept)) if kept else 0.0
            if found <= budget:
                return kept, {unit: _why(groups[group]) for group in plan for unit in group.units}
            budget_left = AIM * budget
            groups = {g: (e * found / budget_left if g not in plan else e) for g, e in groups.items()}
            if all(g in plan for g in groups):
                break
            continue
        widest = max((g for g in plan if len(g.units) > 1), key=lambda g: groups[g])
        del groups[widest]
        for half in widest.halves():
            spent += 1
            groups[half] = _worst(measure(half.units))
    for group in _give_up(groups, budget):
        reasons.update({unit: _why(groups[group]) for unit in group.units})
    return _verified([unit for unit in units if unit not in reasons], reasons, groups, measure, budget)


class _Group:
    """Units measured together; compared by identity."""

    def __init__(self, units: list[Unit]) -> None:
        self.units = units

    def halves(self) -> list[_Group]:
        """Two or more smaller groups: one for each kind of unit, else the two halves in graph order."""
        kinds = {kind: [unit for unit in self.units if unit.kind == kind] for kind in WORTH}
        parts = [part for part in kinds.values() if part]
        if len(parts) == 1:
            middle = len(self.units) // 2
            parts = [self.units[:middle], self.units[middle:]]
        return [_Group(part) for part in parts]


def _give_up(groups: Mapping[_Group, float], budget: float) -> list[_Group]:
    """Groups to return to float32 so that the squares of the rest add up to the budget: worst for its worth first."""
    left = math.fsum(e * e for e in groups.values() if math.isfinite(e))
    plan = [group for group, e in groups.items() if not math.isfinite(e)]
    order = sorted((g for g in groups if g not in plan), key=lambda g: -groups[g] / _worth(g))
    for group in order:
        if left <= (AIM * budget) ** 2:
            break
        left -= groups[group] ** 2
        plan.append(group)
    return plan


def _worth(group: _Group) -> float:
    return max(WORTH[unit.kind] for unit in group.units)


def _verified(
    kept: list[Unit], reasons: dict[Unit, str], groups: Mapping[_Group, float], measure: Measure, budget: float
) -> tuple[list[Unit], dict[Unit, str]]:
    """Give up whole groups, worst first, until the measured error is within the budget."""
    order = sorted(groups, key=lambda group: -groups[group] / _worth(group))
    while kept and _worst(measure(kept)) > budget:
        group = next(g for g in order if any(unit in kept for unit in g.units))
        reasons.update({unit: _why(groups[group]) for unit in group.units if unit in kept})
        kept = [unit for unit in kept if unit not in reasons]
    return kept, reasons


def _why(cost: float) -> str:
    if not math.isfinite(cost):
        return "its values overflow or stop being numbers"
    return f"it, or the group it was measured with, moves an output by {cost:.2g} of its RMS"


def _worst(found: Mapping[str, float]) -> float:
    return max(found.values(), default=0.0)
