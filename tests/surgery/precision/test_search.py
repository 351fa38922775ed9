"""The search for the nodes that half precision costs too much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from surgery.precision.candidates import Unit
from surgery.precision.search import search


def _searched(costs: dict[Unit, float], budget: float = 0.01) -> tuple[float, dict[Unit, str], int]:
    """The error of the choice for units whose squares of errors add up, why the others stay, and the runs."""
    calls = []

    def measure(some: Any) -> dict[str, float]:
        calls.append(len(some))
        return {"y": float(np.sqrt(sum(costs[unit] ** 2 for unit in some)))}

    kept, reasons = search(list(costs), measure, budget, 64)
    assert {*kept, *reasons} == {*costs}
    runs = len(calls)
    return measure(kept)["y"], reasons, runs


def _units(count: int, kind: str = "light") -> list[Unit]:
    return [Unit(kind, (("", index),), f"n{index}") for index in range(count)]


@pytest.mark.parametrize("cost", [0.05, float("inf")])
def test_search_finds_the_few_that_cost(cost: float) -> None:
    costs = {unit: cost if index in (7, 40) else 1e-4 for index, unit in enumerate(_units(64))}
    _, reasons, runs = _searched(costs)
    assert {unit.name for unit in reasons} == {"n7", "n40"}
    assert runs <= 30


def test_search_near_the_budget_returns_no_more_than_it_must() -> None:
    """0.011 against 0.01, spread over 400 units: 70 of them hold the squares that are too much."""
    costs = dict.fromkeys(_units(400), 0.011 / 20)
    error, reasons, runs = _searched(costs)
    assert error <= 0.01
    assert len(reasons) <= 71
    assert runs <= 64


def test_search_finds_a_few_among_many_of_different_cost() -> None:
    """Of 400 units whose errors differ by orders of magnitude, the three costliest hold what is too much."""
    sizes = np.exp(np.random.default_rng(1).normal(size=400) * 2)
    sizes *= 0.03 / np.sqrt((sizes**2).sum())
    error, reasons, _ = _searched(dict(zip(_units(400), map(float, sizes), strict=True)))
    assert error <= 0.01
    assert len(reasons) <= 4


def test_search_gives_back_what_fits_after_all() -> None:
    """The order is wrong where units cost nothing alone: only two together do, and either may stay."""
    units = _units(32)

    def measure(some: Any) -> dict[str, float]:
        both = {units[3], units[29]} <= set(some)
        return {"y": 1.0 if both else 0.0}

    kept, reasons = search(units, measure, 0.01, 40)
    assert len(kept) == 31
    assert {unit.name for unit in reasons} < {"n3", "n29"}
