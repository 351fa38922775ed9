"""Checks whether TensorRT's parser and builder accept a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import MissingBackend
from verify.report import Check, Verdict
from verify.tensorrt import engine
from verify.tensorrt.profiles import show_profile
from verify.tensorrt.settings import build_settings, precision_of

if TYPE_CHECKING:
    from verify.interface.spec import Spec


def spec_profiles(spec: Spec | None) -> dict[str, Any] | None:
    """The spec's profile of each input; the builder leaves out inputs whose dims are fixed in the file."""
    return None if spec is None else {name: (p.min, p.opt, p.max) for name, p in spec.profiles().items()}


def check_tensorrt(
    path: Path,
    profiles: Mapping[str, Any] | None,
    *,
    wanted: bool | None = None,
    strict: bool = False,
    spec: Spec | None = None,
) -> list[Check]:
    """A check for the parser and, where it accepts the file, one for the builder.

    Where the parser finds other dims or types of inputs and outputs than the file declares, that is a failed check too.

    Args:
        profiles: {input: (min, opt, max)}, or None to build at guessed sizes.
        wanted: True: TensorRT must be installed; False: no check; None: a skipped check where it cannot run.
        spec: whose module full TensorRT builds as DeepStream does.
        strict: a model that does not build at guessed sizes fails; otherwise the builder's check is skipped.

    Raises:
        MissingBackend: `wanted`, and TensorRT is not installed or cannot run here.
    """
    if wanted is False:
        return []
    try:
        version = engine.version()
        settings = build_settings(path, spec) if version.startswith("tensorrt ") else None
        built = engine.build(path, profiles, settings=settings)
    except MissingBackend as error:
        if wanted:
            raise
        return [Check("tensorrt", "skip", str(error), {"missing": True})]
    figures: dict[str, Any] = {
        "version": version,
        "seconds": round(built.seconds, 2),
        "engine_bytes": built.engine_bytes,
    }
    if settings is not None:
        figures |= {"settings": settings, "precision": precision_of(settings, version)}
    if built.refusals:
        return [Check("tensorrt parser", "fail", f"{_first_refusal(built)}; surgeon diagnose explains", figures)]
    if not built.parsed:
        return [Check("tensorrt", "fail", _reason(built), figures)]
    accepted = Check("tensorrt parser", "pass", f"accepted by {version}", figures)
    return [accepted, *_interface(path, built), _builder(built, strict, figures)]


def verdicts_of(checks: Sequence[Check]) -> list[Verdict]:
    """One verdict that sums up the checks of `check_tensorrt`, under the name of the TensorRT that ran; or none."""
    own = {check.name: check for check in checks if check.name in ("tensorrt", "tensorrt parser", "tensorrt builder")}
    ran = [check for check in own.values() if "version" in check.figures]
    if not ran:
        return []
    judge = f"{engine.product(ran[0].figures['version'])} (built here)"
    builder = own.get("tensorrt builder")
    if any(check.status == "fail" for check in own.values()):
        return [Verdict(judge, "refused", "refuses it")]
    if builder is None or builder.status == "skip" or "guessed" in builder.figures:
        return [Verdict(judge, "unknown", "unknown: sizes were guessed; give --input-shape")]
    return [Verdict(judge, "accepted", "accepts it")]


def _interface(path: Path, built: engine.BuildResult) -> list[Check]:
    """A failed check where the parser's dims and types are not those that the file declares; else none."""
    from verify.model.read import read_model
    from verify.tensorrt.declared import undeclared

    wrong = list(undeclared(read_model(path), built.ports)) if built.ports else []
    if not wrong:
        return []
    more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return [Check("tensorrt interface", "fail", wrong[0] + more, {"wrong": wrong})]


def _builder(built: engine.BuildResult, strict: bool, figures: Mapping[str, Any]) -> Check:
    """The check of the builder's result; a build at guessed sizes proves nothing about other sizes."""
    name = "tensorrt builder"
    size = f"engine of {built.engine_bytes / 1e6:.1f} MB in {built.seconds:.1f} s"
    if not built.derived or not built.profiles:
        if built.ok:
            return Check(name, "pass", size, figures)
        return Check(name, "fail", f"{_reason(built)}; surgeon diagnose explains", figures)
    figures = {**figures, "guessed": {name: list(map(list, points)) for name, points in built.profiles.items()}}
    tried = " ".join(f"--input-shape {show_profile(*profile)}" for profile in built.profiles.items())
    if built.ok:
        return Check(name, "pass", f"{size}, at guessed sizes only: {tried}", figures)
    message = f"sizes unknown, give --input-shape; does not build at guessed sizes ({tried}): {_reason(built)}"
    return Check(name, "fail" if strict else "skip", message, figures)


def _first_refusal(built: engine.BuildResult) -> str:
    first = built.refusals[0]
    where = " ".join(part for part in (first.op, first.node_name or first.tensor) if part)
    more = f" (and {len(built.refusals) - 1} more)" if len(built.refusals) > 1 else ""
    reason = "TensorRT gives no reason" if first.message == "false" else _line(first.message)
    return f"{where}: {reason}{more}".removeprefix(": ")


def _reason(built: engine.BuildResult) -> str:
    return _line(built.messages[0]) if built.messages else "no engine, and no reason given"


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
