"""What each judge says of a whole model, each under its own name: what ran here, and what a table says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from surgery.diagnose.refusals import Refusals
from surgery.targets import RTX, Target
from verify.report import Finding, State, Verdict, counted
from verify.tensorrt import engine

PRODUCTS = {"tensorrt_rtx": "TensorRT-RTX", "tensorrt": "TensorRT"}


def by_tensorrt(found: Refusals, build: bool) -> Verdict:
    """The verdict of the parser and, with `build`, of the builder that ran here."""
    errors = [finding for finding in found.findings if finding.severity == "error"]
    how = "built here" if build else "parsed here, not built"
    skipped = [check for check in found.checks if check.status == "skip" and (build or "builder" not in check.name)]
    if errors:
        return Verdict(f"{product()} ({how})", "refused", f"refuses {counted(len(errors), 'place')}")
    if skipped or not found.complete:
        why = skipped[0].message if skipped else "not all of the model could be looked at"
        return Verdict(f"{product()} ({how})", "unknown", f"unknown: {why}")
    return Verdict(f"{product()} ({how})", "accepted", "accepts it")


def product() -> str:
    """Name and version of the installed TensorRT: "TensorRT-RTX 1.7.1.116"."""
    module, _, version = engine.version().partition(" ")
    return f"{PRODUCTS[module]} {version}".strip()


def by_table(target: Target, findings: Iterable[Finding]) -> Verdict:
    """The verdict of a target's table, from the places it refuses and those it does not know."""
    severities = [finding.severity for finding in findings]
    refused, unknown = severities.count("error"), severities.count("warning")
    table = "the table of its answers" if target.family == RTX else "NVIDIA's operator table"
    state: State = "refused" if refused else "unknown" if unknown else "accepted"
    parts = [f"refuses {counted(refused, 'place')}"] if refused else []
    parts += [f"{counted(unknown, 'place')} unknown"] if unknown else []
    return Verdict(f"{target.label} by {table}", state, ", ".join(parts) or "accepts it")


def by_onnxruntime(file: Path) -> Verdict:
    """Whether onnxruntime's CPU provider loads the model."""
    import onnxruntime

    from verify.run.session import open_session

    error = open_session(file, backend="onnxruntime").error
    judge = f"onnxruntime {onnxruntime.__version__} (loaded here)"
    return Verdict(judge, "refused" if error else "accepted", f"refuses it: {error}" if error else "accepts it")
