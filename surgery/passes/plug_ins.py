"""Passes that installed packages offer as entry points of the group `surgeon.passes`."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from surgery.pipeline.rule import Pass
from verify.errors import SurgeonError

GROUP = "surgeon.passes"


class PlugIns(NamedTuple):
    """The passes of all plug-ins that load, and one line for each plug-in that does not."""

    passes: tuple[Pass, ...] = ()
    failures: tuple[str, ...] = ()


def load_plug_ins(own: Iterable[Pass]) -> PlugIns:
    """Load every plug-in; one that fails is named in `failures` and left out.

    Args:
        own: surgeon's own passes, whose codes no plug-in may take.

    Raises:
        SurgeonError: two passes have the same code.
    """
    owners = {rule.code: "surgeon itself" for rule in own}
    passes, failures = [], []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name)):
        try:
            rule = point.load()
            if not isinstance(rule, Pass):
                raise TypeError(f"{point.value} is no Pass, but of type {type(rule).__name__}")
        except (Exception, SystemExit) as error:
            failures.append(f"{_package(point)}: {_place(point, error)}: {type(error).__name__}: {error}")
            continue
        owner = f"{_package(point)} ({point.value})"
        if rule.code in owners:
            raise SurgeonError(
                f"the code {rule.code} is used twice, by {owners[rule.code]} and by {owner}; "
                "give the pass of the plug-in another code, or uninstall the plug-in"
            )
        owners[rule.code] = owner
        passes.append(rule)
    return PlugIns(tuple(passes), tuple(failures))


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _place(point: EntryPoint, error: BaseException) -> str:
    """File and line where loading failed; the entry point where Python found no such module or no such name in it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f"{outside[-1].filename}:{outside[-1].lineno}" if outside else f"entry point '{point.value}'"
