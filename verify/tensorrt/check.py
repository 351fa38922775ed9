"""Whether TensorRT's parser and builder take a model, as checks of a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import MissingBackend
from verify.report import Check
from verify.tensorrt import engine

if TYPE_CHECKING:
    from verify.interface.spec import Spec


def spec_profiles(spec: Spec | None) -> dict[str, Any] | None:
    """The spec's profile of each input; the builder leaves out inputs whose dims are fixed in the file."""
    return None if spec is None else {name: (p.min, p.opt, p.max) for name, p in spec.profiles().items()}


def check_tensorrt(path: Path, profiles: Mapping[str, Any] | None, *, wanted: bool | None = None) -> list[Check]:
    """A check for the parser and, where it accepts the file, one for the builder.

    Args:
        profiles: {input: (min, opt, max)}, or None to build at guessed sizes.
        wanted: True: TensorRT must be installed; False: no check; None: a skipped check where it is not installed.

    Raises:
        MissingBackend: `wanted` and not installed.
    """
    if wanted is False:
        return []
    try:
        version = engine.version()
    except MissingBackend as error:
        if wanted:
            raise
        return [Check("tensorrt", "skip", str(error), {"missing": True})]
    built = engine.build(path, profiles)
    figures = {"version": version, "seconds": round(built.seconds, 2), "engine_bytes": built.engine_bytes}
    if built.refusals:
        return [Check("tensorrt parser", "fail", f"{_first_refusal(built)}; surgeon diagnose explains", figures)]
    parser = Check("tensorrt parser", "pass", f"accepted by {version}", figures)
    if built.ok:
        size = f"engine of {built.engine_bytes / 1e6:.1f} MB in {built.seconds:.1f} s"
        return [parser, Check("tensorrt builder", "pass", size + _sizes(built), figures)]
    reason = _line(built.messages[0]) if built.messages else "no engine, and no reason given"
    return [parser, Check("tensorrt builder", "fail", f"{reason}{_sizes(built)}; surgeon diagnose explains", figures)]


def _first_refusal(built: engine.BuildResult) -> str:
    first = built.refusals[0]
    where = " ".join(part for part in (first.op, first.node_name or first.tensor) if part)
    more = f" (and {len(built.refusals) - 1} more)" if len(built.refusals) > 1 else ""
    return f"{where}: {_line(first.message)}{more}".removeprefix(": ")


def _sizes(built: engine.BuildResult) -> str:
    """Which sizes were built, when surgeon had to guess them."""
    if not built.derived or not built.profiles:
        return ""
    shapes = ", ".join(f"{name} {'x'.join(map(str, opt))}" for name, (_, opt, _) in built.profiles.items())
    return f" (sizes guessed: {shapes}; give --input-shape)"


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
