"""The passes, in the order they run. Adding one: a module here, a test, a line in PIPELINE."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from surgery.rule import Pass

PIPELINE: tuple[str, ...] = (
    "identity_node",
    "unused_node",
    "function_operator",
    "unsupported_attention",
)


@cache
def all_passes() -> tuple[Pass, ...]:
    """Every pass: those listed in PIPELINE, then those that other packages offer as entry points `surgeon.passes`."""
    own = [import_module(f"{__name__}.{module}").PASS for module in PIPELINE]
    return (*own, *(point.load() for point in entry_points(group="surgeon.passes")))
