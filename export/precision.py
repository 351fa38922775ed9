"""Lower exported files to half precision; the error is measured on a photo and on what stock SAM2 computes from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.precision import PRECISIONS as LOWERED
from verify.errors import SurgeonError

PRECISIONS = ("fp32", *LOWERED)
MOST_CASES = 3
MEMORY = ((7, 16), (1, 1))  # (frames, pointers)
SOURCE = "a photo and what stock SAM2 computes from it"


@dataclass(frozen=True)
class PrecisionOptions:
    """`max_error` is the largest error of an output, relative to its RMS; `calibrate` is a folder of inputs."""

    max_error: float = 1e-2
    calibrate: Path | None = None

    def check(self, modules: Iterable[str]) -> None:
        """Raise SurgeonError unless `max_error` is positive and the folder has a file for at least one module."""
        if not 0 < self.max_error < float("inf"):
            raise SurgeonError(
                f"--max-error {self.max_error:g} is not an error limit; give a positive number such as 0.01"
            )
        if self.calibrate is not None and not any(self.file(module) for module in modules):
            raise SurgeonError(f"{self.calibrate}: this folder has no MODULE.npz file, such as mask_decoder.npz")

    def file(self, module: str) -> Path | None:
        """The file with the calibration inputs of a module, None where there is none."""
        path = self.calibrate / f"{module}.npz" if self.calibrate is not None else None
        return path if path is not None and path.is_file() else None


def real_inputs(model: Any, modules: Iterable[str], semantics: str, objects: int) -> dict[str, list[dict[str, Any]]]:
    """A few real calls of each module, as NumPy arrays by input name; `model` is stock SAM2 with its weights."""
    from export.stock.cases import cases

    found: dict[str, list[dict[str, Any]]] = {}
    for case, _ in cases(model, modules, semantics=semantics, objects=objects, memory=MEMORY):
        calls = found.setdefault(case.module, [])
        if len(calls) < MOST_CASES:
            calls.append({name: tensor.numpy() for name, tensor in case.inputs.items()})
    return found


def fix_options(module: str, precision: str, options: PrecisionOptions, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Options of `surgery.fix` that write `precision` into the file of a module, measured on `inputs`."""
    from surgery.precision.calibration import Calibration

    measured = options.file(module) or Calibration(inputs, SOURCE)
    return {"precision": precision, "max_error": options.max_error, "calibrate": measured}
