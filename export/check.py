"""Checks the exported files: interface, parity with stock SAM2, and whether TensorRT builds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.pipeline import Exported
from export.stock.cases import LARGEST, MEDIAN, Error, compare_files
from verify import verify_model
from verify.model.read import read_model
from verify.report import Check


@dataclass(frozen=True)
class Verdict:
    """The checks of one exported file, one for each column of the table."""

    exported: Exported
    interface: Check
    parity: Check
    tensorrt: Check

    @property
    def checks(self) -> tuple[Check, Check, Check]:
        return self.interface, self.parity, self.tensorrt


def judge(
    done: Sequence[Exported],
    model: Any,
    semantics: str,
    objects: int = 1,
    started: Callable[[str], None] = lambda module: None,
) -> list[Verdict]:
    """Check every file; `model` is the stock model they come from, `started` is called with the name of each module."""
    paths = {item.module: item.path for item in done}
    specs = {item.module: item.spec for item in done}
    errors: dict[str, list[Error]] = {module: [] for module in paths}
    can_run = {module: path for module, path in paths.items() if not holds_bfloat16(path)}
    for error in compare_files(model, can_run, specs, semantics=semantics, objects=objects):
        errors[error.module].append(error)
    verdicts = []
    for item in done:
        started(item.module)
        verdicts.append(_verdict(item, parity_check(errors[item.module], budget(item.path))))
    return verdicts


def _verdict(item: Exported, parity: Check) -> Verdict:
    """The file's own checks, as `surgeon verify` makes them, beside its parity with stock SAM2."""
    checks = verify_model(item.path, spec=item.spec, goldens=None).checks
    tensorrt = [check for check in checks if check.name.startswith("tensorrt")]
    return Verdict(
        item, _joined("interface", [c for c in checks if c not in tensorrt]), parity, _joined("tensorrt", tensorrt)
    )


def _joined(name: str, checks: Sequence[Check]) -> Check:
    """Several checks as one: those that failed, else the result of the last one."""
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        return Check(name, "fail", "; ".join(check.message for check in failed), failed[0].figures)
    return replace(checks[-1], name=name)


def budget(path: Path) -> float | None:
    """The largest error of an output that the metadata of a half-precision file allow; None for a float32 file."""

    from surgery.precision import DEFAULT_MAX_ERROR
    from verify.interface.recognise import read_metadata

    about = read_metadata(read_model(path))
    if about.get("precision", "fp32") == "fp32":
        return None
    return float(about.get("max_error", DEFAULT_MAX_ERROR))


def holds_bfloat16(path: Path) -> bool:
    """Whether the file computes in bfloat16, for which onnxruntime has no kernels on a CPU."""
    import onnx

    graph = read_model(path).graph
    casts = (attribute.i for node in graph.node if node.op_type == "Cast" for attribute in node.attribute)
    return onnx.TensorProto.BFLOAT16 in {*casts, *(tensor.data_type for tensor in graph.initializer)}


def parity_check(errors: Sequence[Error], budget: float | None = None) -> Check:
    """Largest error over all outputs and cases, and the largest of the medians.

    With a `budget` (half precision) the root mean square of each output's error is what must not pass it.
    """
    if not errors and budget is not None:
        return Check("parity", "skip", "onnxruntime has no bfloat16 kernels to compare with")
    if not errors:
        return Check("parity", "skip", "not compared")
    if budget is not None:
        return _within(errors, budget)
    largest = max(errors, key=lambda error: error.largest)
    median, edge = max(error.median for error in errors), sum(error.edge for error in errors)
    figures: Mapping[str, Any] = {"largest": largest.largest, "median": median, "edge_pixels": edge}
    message = f"max {largest.largest:.1e}, median {median:.1e}"
    if edge:
        message += f", {edge} pixels on the mask's edge left out"
    bad = [error for error in errors if not error.good]
    if bad:
        worst = max(bad, key=lambda error: error.largest)
        message += f": {worst.output} in {worst.case} is beyond {LARGEST:g} (median {MEDIAN:g}) of its RMS"
    return Check("parity", "fail" if bad else "pass", message, figures)


def _within(errors: Sequence[Error], budget: float) -> Check:
    worst = max(errors, key=lambda error: error.rms)
    message = f"error {worst.rms:.1e} of RMS at {worst.output} in {worst.case}, allowed {budget:g}"
    return Check("parity", "pass" if worst.rms <= budget else "fail", message, {"rms": worst.rms, "budget": budget})
