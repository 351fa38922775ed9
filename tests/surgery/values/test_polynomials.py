"""Arithmetic of partly unknown whole numbers: what it claims holds whatever sizes the dims have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgery.values import polynomials
from surgery.values.polynomials import Polynomial

DIMS = ("n", "m")
terms = st.lists(st.sampled_from(DIMS), max_size=2).map(lambda names: tuple(sorted(names)))
values = st.one_of(
    st.integers(-6, 6),
    st.dictionaries(terms, st.integers(-4, 4), max_size=3).map(lambda found: polynomials.add(0, Polynomial(found))),
)
sizes = st.fixed_dictionaries({name: st.integers(0, 7) for name in DIMS})


def at(value: Any, dims: Mapping[str, int]) -> int | None:
    """The number a value is when the dims have these sizes; None for one that nothing is known of."""
    if not isinstance(value, Polynomial):
        return int(value)
    if any(name.startswith("?") for names in value.terms for name in names):
        return None
    return sum(factor * prod(dims[name] for name in names) for names, factor in value.terms.items())


def quotient(left: int, right: int) -> int | None:
    """ONNX's Div of integers, towards zero."""
    return None if right == 0 else abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


ALWAYS: dict[str, Callable[[int, int], int]] = {
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
}
WHERE_KNOWN: dict[str, Callable[[int, int], int | None]] = {
    "divide": quotient,
    "remainder": lambda left, right: None if right == 0 else left % right,
    "equal": lambda left, right: left == right,
    "less": lambda left, right: left < right,
    "largest": max,
    "smallest": min,
}


@pytest.mark.parametrize("name", [*ALWAYS, *WHERE_KNOWN])
@settings(max_examples=300, deadline=None)
@given(left=values, right=values, dims=sizes)
def test_what_is_known_holds_for_every_size(name: str, left: Any, right: Any, dims: dict[str, int]) -> None:
    wanted = {**ALWAYS, **WHERE_KNOWN}[name](at(left, dims), at(right, dims))  # type: ignore[arg-type]
    found = at(getattr(polynomials, name)(left, right), dims)
    if name in ALWAYS:
        assert found == wanted
    else:
        assert found is None or wanted is None or found == wanted


def test_what_shape_arithmetic_needs_is_known() -> None:
    n, m = polynomials.symbol("n"), polynomials.symbol("m")
    product = polynomials.multiply(polynomials.multiply(n, m), 4)
    assert polynomials.divide(product, polynomials.multiply(n, 2)) == polynomials.multiply(m, 2)
    assert polynomials.remainder(product, 2) == 0
    assert polynomials.equal(polynomials.add(n, 1), polynomials.add(n, 2)) is False
    assert polynomials.less(n, polynomials.add(n, m)) is not True  # m may be 0
    assert polynomials.less(n, polynomials.add(polynomials.add(n, m), 1)) is True
    assert polynomials.select(polynomials.equal(n, m), 3, 3) == 3


def test_dims_without_a_name_are_numbers_of_their_own() -> None:
    owner = object()
    first, second, third = polynomials.of_dims([None, None, 5], owner)
    assert (first == second, third) == (False, 5)
    assert polynomials.of_dims([None], owner) == [first]
    assert polynomials.less(first, 0) is False
    assert polynomials.unknown() != polynomials.unknown()
