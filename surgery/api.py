"""`fix`: load, run the passes, compare with the original, and only then write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx

from surgery.files import model_file as files
from surgery.guard.prove import Job
from surgery.pipeline.apply import Outcome, split_options, with_spec
from verify.errors import SurgeonError
from verify.model.external import external_tensors
from verify.model.read import read_model
from verify.report import Check, Report

__all__ = ["fix", "fix_model"]


def fix_model(model: onnx.ModelProto, **options: Any) -> tuple[onnx.ModelProto, Report]:
    """Run the passes on a model in memory and compare the result with it.

    Args:
        model: left unchanged.
        options: the fields of `surgery.pipeline.context.Options` and of `Run`.

    Returns:
        The fixed model (the very same object when nothing was found) and the report of what was done to it.

    Raises:
        CheckFailed: the fixed model computes something else, or `strict` and nothing could be compared.
    """
    chosen, run = split_options(options)
    chosen = with_spec(chosen, model, None)
    job = Job(model, model, "", chosen, run)
    outcome = job.work(lambda outcome: outcome.model)
    report = job.report(outcome, lambda: outcome.model)
    return outcome.model, report


def fix(source_path: str | os.PathLike[str], target_path: str | os.PathLike[str], **options: Any) -> Report:
    """Fix the model at `source_path` and write it to `target_path`.

    Runs models in this process, which a fault of onnxruntime would end; `surgeon fix` has one for each model.

    Args:
        source_path: never touched, unless it is also the target and `in_place` is set.
        target_path: whole and checked, or what it was before.
        options: the fields of `surgery.pipeline.context.Options` and of `Run`.

    Raises:
        SurgeonError: the source cannot be read or the target cannot be written.
        CheckFailed: the fixed model computes something else, or `strict` and nothing could be compared.
    """
    chosen, run = split_options(options)
    source, target = Path(source_path), Path(target_path)
    same = source.exists() and target.exists() and source.samefile(target)
    if same and not run.in_place:
        raise SurgeonError(f"{source}: is the input too; choose another output, or ask for --in-place")
    model = read_model(source)
    chosen = with_spec(chosen, model, source)
    folder = str(source.resolve().parent)
    job = Job(model, str(source), folder, chosen, run)
    moves = run.save_external_data or _moves(model, source, target)
    with files.Pending(target.resolve() if same else target) as pending:

        def write(outcome: Outcome) -> str:
            copied = outcome.model is model and not moves
            pending.write(source.read_bytes() if copied else outcome.model, folder, run.save_external_data)
            return str(pending.path)

        outcome = job.work(write)
        changed = outcome.model is not model
        report = job.report(outcome, lambda: str(pending.path))
        if same and not changed and not moves:
            return report
        if same:
            report.checks.append(Check("backup", "pass", f"the original is kept as {files.back_up(source)}"))
        pending.commit()
    return report


def _moves(model: onnx.ModelProto, source: Path, target: Path) -> bool:
    """Whether external data has to be copied for the target to find it."""
    if os.path.realpath(source.parent) == os.path.realpath(target.parent):
        return False
    return next(external_tensors(model), None) is not None
