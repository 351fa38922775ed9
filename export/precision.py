"""Half precision in an export: measured on the photo and on what stock SAM2 makes of it, so that no file is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError

if TYPE_CHECKING:
    from verify.report import Check

PRECISIONS = ("fp32", "fp16", "bf16", "mixed")
MOST_CASES = 3
MEMORY = ((7, 16), (1, 1))  # (frames, pointers)
SOURCE = "a photo and what stock SAM2 makes of it"


@dataclass(frozen=True)
class Halves:
    """How far to go: `max_error` is the budget of each output in parts of its RMS, `calibrate` a folder of inputs."""

    max_error: float = 1e-2
    calibrate: Path | None = None

    def check(self, modules: Iterable[str]) -> None:
        """Raise SurgeonError unless the budget is a positive number and the folder holds one file for a module."""
        if not 0 < self.max_error < float("inf"):
            raise SurgeonError(f"--max-error {self.max_error:g} is no budget; give a positive number such as 0.01")
        if self.calibrate is not None and not any(self.file(module) for module in modules):
            raise SurgeonError(f"{self.calibrate}: holds no MODULE.npz, such as mask_decoder.npz; give such a folder")

    def file(self, module: str) -> Path | None:
        """The inputs given for a module."""
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


def lower(path: Path, precision: str, halves: Halves, inputs: list[dict[str, Any]]) -> Check:
    """Write `precision` into the file at `path`; the check says the error, what stayed in float32 and why."""
    from surgery.precision.file import lower_file

    given = halves.file(path.stem)
    measured = None if given else (inputs, SOURCE)
    return lower_file(path, precision, given, halves.max_error, inputs=measured)
