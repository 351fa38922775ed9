"""`-` for a model: read from standard input, written to standard output."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click

from verify.errors import SurgeonError
from verify.report import Report

DASH = Path("-")
NAME, RESULT = "standard-input.onnx", "standard-output.onnx"
TEMPORARY = re.compile(r"\S*[/\\]surgeon-\w+[/\\]standard-(input|output)(?:\.part)?\.onnx")


@dataclass(frozen=True)
class Output:
    """The temporary file whose content goes to standard output once it is complete."""

    path: Path

    def send(self) -> None:
        """Write the file to standard output, if it was written.

        Raises:
            SurgeonError: the model has weights in a file beside it, which standard output cannot carry.
        """
        if not self.path.is_file():
            return
        if len(list(self.path.parent.iterdir())) > 1:
            raise SurgeonError("-o -: the model has weights in a file beside it; give the name of a file")
        sys.stdout.buffer.write(self.path.read_bytes())
        sys.stdout.buffer.flush()


def read_dash(context: click.Context, models: tuple[Path, ...]) -> tuple[Path, ...]:
    """The models with a temporary file in the place of `-`, which holds what standard input gave.

    Raises:
        SurgeonError: `-` is given twice, or standard input is a terminal.
    """
    if DASH not in models:
        return models
    if models.count(DASH) > 1:
        raise SurgeonError("-: standard input holds one model")
    if sys.stdin.isatty():
        raise SurgeonError("-: standard input is a terminal; pipe a model into surgeon")
    path = _folder(context) / NAME
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return tuple(path if model == DASH else model for model in models)


def fix_streams(
    context: click.Context, models: tuple[Path, ...], target: Path | None
) -> tuple[tuple[Path, ...], Path | None, Output | None]:
    """Models and target of a command that writes, with temporary files for `-`, and what goes to standard output.

    `surgeon fix -` writes to standard output, as `surgeon fix - -` and `surgeon fix in.onnx -o -` do.

    Raises:
        SurgeonError: as `read_dash`; or standard output is a terminal.
    """
    if target is None and len(models) == 2 and models[1] == DASH:
        models, target = models[:1], DASH
    if target is None and models == (DASH,):
        target = DASH
    output = None
    if target == DASH:
        if len(models) != 1:
            raise SurgeonError("-o -: standard output takes one model")
        if sys.stdout.isatty():
            raise SurgeonError("-o -: standard output is a terminal; pipe it into a file or a program")
        output = Output(_folder(context) / RESULT)
        target = output.path
    return read_dash(context, models), target, output


def shown(path: str) -> str:
    """How a report names a model: `-` for standard input and output."""
    return "-" if TEMPORARY.fullmatch(path) else path


def spoken(message: str) -> str:
    """The message with standard input and output in the place of their temporary files."""
    return TEMPORARY.sub(r"standard \1", message)


def without_temporary(report: Report) -> Report:
    """The report with standard input and output in the place of their temporary files."""
    report.model = shown(report.model)
    report.checks = [replace(check, message=spoken(check.message)) for check in report.checks]
    report.verdicts = [replace(verdict, message=spoken(verdict.message)) for verdict in report.verdicts]
    return report


def _folder(context: click.Context) -> Path:
    return Path(context.with_resource(tempfile.TemporaryDirectory(prefix="surgeon-")))
