"""Integers that depend on the sizes of dims, as polynomials over the names of dims: enough for shape arithmetic.

A value is an int, or a `Polynomial` when it depends on a dim. A name of a dim stands for a number from 0
up, a name that begins with '?' for any number. Two values are equal for every input when their polynomials are.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

Value = Any  # int, bool or Polynomial
_FRESH = count(1)
MANY_TERMS = 16


class Polynomial:
    """A sum of terms, each a product of an integer and names; immutable."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[tuple[str, ...], int]) -> None:
        self.terms = {names: factor for names, factor in terms.items() if factor}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __repr__(self) -> str:
        return " + ".join(
            f"{factor}*{'*'.join(names)}" if names else str(factor) for names, factor in self.terms.items()
        )

    @property
    def is_not_negative(self) -> bool:
        """Whether the polynomial is known to be 0 or more for every input."""
        return all(f >= 0 and not any(name.startswith("?") for name in names) for names, f in self.terms.items())


def symbol(name: str) -> Polynomial:
    """The value that has this name."""
    return Polynomial({(name,): 1})


def unknown() -> Polynomial:
    """A value of which nothing is known."""
    return symbol(f"?{next(_FRESH)}")


def of_dims(shape: Any, owner: object) -> list[Value]:
    """The dims of a shape as values; a dim without a name gets a name of its own."""
    return [
        int(dim) if isinstance(dim, (int, np.integer)) else symbol(dim or f"dim {id(owner)}:{axis}")
        for axis, dim in enumerate(shape)
    ]


def known(value: Value) -> bool:
    """Whether the value is a number, not a polynomial."""
    return not isinstance(value, Polynomial)


def is_dim(value: Value) -> bool:
    """Whether the value is the size of one dim, nothing added to it and not multiplied."""
    if known(value) or len(value.terms) != 1:
        return False
    ((names, factor),) = value.terms.items()
    return factor == 1 and len(names) == 1 and not names[0].startswith("?")


def _terms(value: Value) -> dict[tuple[str, ...], int]:
    return value.terms if isinstance(value, Polynomial) else {(): int(value)}


def _simple(terms: dict[tuple[str, ...], int]) -> Value:
    terms = {names: factor for names, factor in terms.items() if factor}
    if not terms:
        return 0
    if terms.keys() == {()}:
        return terms[()]
    return Polynomial(terms) if len(terms) <= MANY_TERMS else unknown()


def add(left: Value, right: Value, sign: int = 1) -> Value:
    """Sum, or difference with sign -1."""
    total = dict(_terms(left))
    for names, factor in _terms(right).items():
        total[names] = total.get(names, 0) + sign * factor
    return _simple(total)


def subtract(left: Value, right: Value) -> Value:
    """Difference."""
    return add(left, right, -1)


def multiply(left: Value, right: Value) -> Value:
    """Product."""
    total: dict[tuple[str, ...], int] = {}
    for names, factor in _terms(left).items():
        for others, other in _terms(right).items():
            key = tuple(sorted((*names, *others)))
            total[key] = total.get(key, 0) + factor * other
    return _simple(total)


def divide(left: Value, right: Value) -> Value:
    """ONNX's quotient (rounded towards zero); unknown unless the division is exact for every input."""
    if known(left) and known(right):
        if right == 0:
            return unknown()
        quotient = abs(int(left)) // abs(int(right))
        return quotient if (left < 0) == (right < 0) else -quotient
    divisor = _terms(right)
    if len(divisor) != 1:
        return 1 if left == right else unknown()
    ((names, factor),) = divisor.items()
    if factor == 0:
        return unknown()
    result: dict[tuple[str, ...], int] = {}
    for mine, amount in _terms(left).items():
        rest = list(mine)
        for name in names:
            if name not in rest:
                return unknown()
            rest.remove(name)
        if amount % factor:
            return unknown()
        result[tuple(rest)] = amount // factor
    return _simple(result)


def remainder(left: Value, right: Value) -> Value:
    """Mod with the sign of the divisor (fmod=0)."""
    if known(left) and known(right):
        return int(left) % int(right) if right else unknown()
    if known(right) and right and all(factor % int(right) == 0 for factor in _terms(left).values()):
        return 0
    return unknown()


def equal(left: Value, right: Value) -> Value:
    """True, False, or unknown."""
    gap = subtract(left, right)
    if known(gap):
        return gap == 0
    return False if surely_positive(gap) or surely_positive(subtract(right, left)) else unknown()


def less(left: Value, right: Value) -> Value:
    """Whether left < right: True, False, or unknown."""
    gap = subtract(right, left)
    if known(gap):
        return gap > 0
    if surely_positive(gap):
        return True
    back = subtract(left, right)
    return False if isinstance(back, Polynomial) and back.is_not_negative else unknown()


def surely_positive(value: Value) -> bool:
    """Whether the value is above zero for every input."""
    if known(value):
        return bool(value > 0)
    return isinstance(value, Polynomial) and value.is_not_negative and value.terms.get((), 0) > 0


def largest(left: Value, right: Value) -> Value:
    """The larger of two values, unknown where it depends on the input which one that is."""
    smaller = less(left, right)
    if known(smaller):
        return right if smaller else left
    return left if left == right else unknown()


def smallest(left: Value, right: Value) -> Value:
    """The smaller of two values, unknown where it depends on the input which one that is."""
    smaller = less(left, right)
    if known(smaller):
        return left if smaller else right
    return left if left == right else unknown()


def select(condition: Value, left: Value, right: Value) -> Value:
    """`left` where the condition holds, else `right`; unknown where the condition is, unless both are equal."""
    if known(condition):
        return left if condition else right
    return left if left == right and type(left) is type(right) else unknown()
