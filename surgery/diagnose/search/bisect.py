"""Finds, by halving a list of nodes, a small part of it that still fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from surgery.diagnose.progress import say


def bisect(order: Sequence[int], fails: Callable[[Sequence[int]], bool], end: float) -> list[int]:
    """A small run of nodes that still fails: the shortest failing beginning, then its shortest failing end.

    Assumes that a longer beginning fails when a shorter one does. Empty when all nodes together do not fail.
    """
    if not fails(order):
        return []
    low, high = 1, len(order)
    while low < high and time.monotonic() < end:
        say(f"searching what the builder refuses: {high - low:,} nodes left")
        middle = (low + high) // 2
        low, high = (low, middle) if fails(order[:middle]) else (middle + 1, high)
    first, last = 0, high - 1
    while first < last and time.monotonic() < end:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if fails(order[middle:high]) else (first, middle - 1)
    return prune(list(order[first:high]), fails, end)


def prune(nodes: list[int], fails: Callable[[Sequence[int]], bool], end: float) -> list[int]:
    """`nodes` with as many as possible dropped, first in halves and then one by one, while the rest still fails."""
    size = max(len(nodes) // 2, 1)
    while size and time.monotonic() < end:
        start = 0
        while start < len(nodes) and len(nodes) > 1 and time.monotonic() < end:
            rest = nodes[:start] + nodes[start + size :]
            if rest and fails(rest):
                nodes = rest
            else:
                start += size
        size = size // 2 if size > 1 else 0
    return nodes
