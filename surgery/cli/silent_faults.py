"""What `surgeon verify` adds to the report of a model: places that some TensorRT takes and computes wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.cli.streams import shown
from verify.report import Check, Report

if TYPE_CHECKING:
    import onnx

    from verify.cached import Addition
    from verify.render.rule_text import RuleText


def addition(path: Path, asked: bool | None) -> Addition:
    """The silent faults of the model at `path`, for the cache: `asked` is False where no TensorRT is to run."""
    import surgery
    from verify.cached import Addition

    home = Path(surgery.__file__).parent
    files = sorted(file for room in ("targets", "diagnose") for file in (home / room).rglob("*.*"))
    files = [file for file in files if file.suffix in (".py", ".toml", ".json")]
    version = "" if asked is False else _full_tensorrt()
    return Addition(partial(_add, version=version), tuple(files), f"{path} {version}")


def _full_tensorrt() -> str:
    """Version of full TensorRT where it is the one that is to run here; else empty."""
    from verify.tensorrt import engine

    if not engine.available():
        return ""
    product, _, version = engine.version().partition(" ")
    return version if product == "tensorrt" else ""


def _add(path: Path, model: onnx.ModelProto, report: Report, version: str) -> None:
    from surgery.diagnose.silent_faults import NAME, silent_faults

    if any(check.name == "onnx" and check.status == "fail" for check in report.checks):
        report.checks.append(Check(NAME, "skip", "not looked for in a file that is not well-formed"))
        return
    try:
        checks, findings = silent_faults(model, shown(str(path)), version)
    except Exception as error:  # the checks that passed must still be shown
        said = f"the graph cannot be searched: {type(error).__name__}: {error}"
        checks, findings = [Check(NAME, "skip", said)], []
    report.checks += checks
    report.findings += findings


def texts_of(reports: Sequence[Report]) -> Mapping[str, RuleText]:
    """The texts of the lint's rules, and of every rule where a finding is of another."""
    from verify.lint import rule_texts

    texts = rule_texts()
    if all(finding.code in texts for report in reports for finding in report.findings):
        return texts
    from surgery.diagnose.rules import rule_texts as every_text

    return every_text()
