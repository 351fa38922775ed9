"""Half precision as a step of `fix`: choose inputs, choose nodes, and report the error in a check."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from surgery.precision import DEFAULT_MAX_ERROR
from surgery.precision.calibration import Calibration, calibration
from surgery.precision.lower import Lowered, check_precision, lower
from verify.errors import CheckFailed, SurgeonError
from verify.interface.recognise import read_metadata, write_metadata
from verify.report import Check

HOW_MEASURED = "the written file in float32, with every half-precision tensor rounded where a node computes it"
IN_BF16 = (
    "onnxruntime on a CPU has no bf16 kernels for most operators, so the error is that of the written file in float32 "
    "with every bf16 tensor rounded"
)


@dataclass(frozen=True)
class Precision:
    """The user's options of half precision.

    kind               "fp16", "bf16" or "mixed"
    max_error          most that an output may move: RMS of the difference over the RMS of the output
    calibrate          inputs to measure on, or an .npz file with them; None takes a golden's or draws some
    unfused_attention  leave attention in float32
    """

    kind: str
    max_error: float = DEFAULT_MAX_ERROR
    calibrate: Calibration | str | os.PathLike[str] | None = None
    unfused_attention: bool = False

    def check(self) -> None:
        """Raise SurgeonError unless the precision is known and the budget is a positive number."""
        check_precision(self.kind)
        if isinstance(self.max_error, bool) or not isinstance(self.max_error, (int, float)):
            raise SurgeonError(f"max_error={self.max_error!r}: give a number, not {type(self.max_error).__name__}")
        if not 0 < self.max_error < float("inf"):
            raise SurgeonError(f"--max-error {self.max_error:g} is no budget; give a positive number such as 0.01")


def lowered_model(
    model: onnx.ModelProto, runnable: Any, path: Path | None, precision: Precision, skip_nodes: frozenset[str]
) -> tuple[onnx.ModelProto, Check]:
    """The model in half precision, and the check "precision" with its error and what stayed in float32.

    Where no node can be lowered the model is returned as it is, and the check is skipped.

    Args:
        model: with all its weights; left unchanged.
        runnable: the same model as the runner takes it.
        path: where the result will be written, by whose name a golden is found.

    Raises:
        CheckFailed: even with every costly node in float32 an output moves by more than the budget.
        SurgeonError: inputs that do not fit.
    """
    feeds = calibration(model, runnable, path, precision.calibrate)
    lowered, result = lower(
        model,
        precision.kind,
        feeds.inputs,
        precision.max_error,
        skip_nodes,
        unfused_attention=precision.unfused_attention,
        extreme=feeds.extreme,
    )
    if not result.within_budget:
        raise CheckFailed(f"nothing was written: {result.summary()}; raise --max-error or stay in fp32")
    if not result.lowered:
        why = f"; {result.stayed[0].name}: {result.stayed[0].why}" if result.stayed else ""
        text = f"the model stays in float32: no node can run in half precision within {precision.max_error:g}{why}"
        return model, Check("precision", "skip", text, _as_check(result, feeds.source).figures)
    if read_metadata(model):
        write_metadata(lowered, {"precision": precision.kind})
    return lowered, _as_check(result, feeds.source)


def _as_check(result: Lowered, source: str) -> Check:
    figures = {
        "precision": result.precision,
        "errors": result.errors,
        "nodes": result.lowered,
        "casts": result.casts,
        "runs": result.runs,
        "measured_on": source,
        "unsteady": result.unsteady,
        "measured_as": HOW_MEASURED,
        "stayed": [{"node": s.name, "op": s.op, "why": s.why} for s in result.stayed],
    }
    message = f"{result.summary()}; measured on {source}"
    if result.unsteady:
        message += (
            f"; on {len(result.unsteady)} sets of large values the outputs stay finite, but the error does not count: "
            f"weights in half precision alone move an output by up to {max(result.unsteady):.2g} of its RMS there"
        )
    if result.lowered.get("bf16"):
        message += f"; {IN_BF16}"
    return Check("precision", "pass", message, figures)
