"""What a log of TensorRT says: the verdict of the machine that wrote it, its errors at their nodes, its warnings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from surgery.diagnose.findings import merged
from surgery.diagnose.fixes import fixed_copy, mark
from surgery.diagnose.logs.errors import read_errors
from surgery.diagnose.logs.findings import finding_of
from surgery.diagnose.logs.lines import messages, read_lines
from surgery.diagnose.logs.places import Places
from surgery.diagnose.logs.run import Run, RunReader
from surgery.diagnose.logs.warnings import is_worth_reading, warnings_in
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.static import table_findings
from surgery.diagnose.utf8 import require_text
from surgery.pipeline.options import Options
from surgery.targets import Target, load_target, releases
from surgery.targets.table import load_table
from verify.errors import SurgeonError
from verify.model.read import read_model
from verify.report import Check, Finding, Report, State, Status, Verdict, counted

PRODUCERS = "trtexec, DeepStream's nvinfer, onnxruntime, torch_tensorrt, Polygraphy or TensorRT's Python logger"


def diagnose_log(log: Path, model: Path | None = None, target: str | None = None, fail_on: str = "refused") -> Report:
    """The report on a log, with its places in `model` where one is given.

    Args:
        target: whose passes tell whether `surgeon fix` rewrites a node; None: the version that wrote the log.
        fail_on: "unknown" makes the exit code 1 also where the log does not say how the run ended.

    Raises:
        SurgeonError: the log is missing, empty, or no log of TensorRT; the model cannot be read.
    """
    run = read_log(log)
    chosen = load_target(target) if target else target_of(run)
    view = None
    if model is not None:
        read = read_model(model)
        require_text(read, str(model))
        view = ModelView(read)
    errors = read_errors(run.errors)
    places = Places(view) if view is not None else None
    refused = merged(finding_of(error, run, view, places) for error in errors)
    report = Report(str(model or log), fail_on="unknown" if fail_on == "unknown" else "refused")
    report.checks += [log_check(run), *_model_checks(run, model, refused, places)]
    report.verdicts.append(verdict_of(log, run, refused))
    if view is not None and model is not None and places is not None and refused:
        refused = _with_fixable(refused, view, places, model, chosen)
        report.checks += _table_check(run, chosen, target)
    report.findings = [*refused, *warnings_in(run.warnings, run.command)]
    return report


def read_log(log: Path) -> Run:
    """The last run in a log.

    Raises:
        SurgeonError: the log is missing, empty or no log of TensorRT.
    """
    reader = RunReader()
    for message in messages(read_lines(log)):
        reader.take(message, warns=is_worth_reading(message.text))
    run = reader.finished()
    if run is None:
        raise SurgeonError(f"{log}: is no log of TensorRT; give what {PRODUCERS} printed")
    return run


def target_of(run: Run) -> Target:
    """The target whose passes fit the log: its version, else that of its DeepStream, else the table's default.

    A version before the table's first counts as the first.
    """
    if not run.target:
        return load_target(f"deepstream-{run.release}" if run.release in releases() else "tensorrt")
    table = load_table("tensorrt")
    version = min(max(run.target, table.first), table.last)
    return load_target(f"tensorrt-{version[0]}.{version[1]}")


def _table_check(run: Run, chosen: Target, target: str | None) -> list[Check]:
    """Says that what `surgeon fix` mends is judged for another version than that of the log, where no table has it."""
    if target or not run.target or chosen.version == f"{run.target[0]}.{run.target[1]}":
        return []
    text = f"there is no table of TensorRT {run.version}: what surgeon fix does is said for {chosen.version}"
    return [Check("table", "skip", text)]


def verdict_of(log: Path, run: Run, refused: list[Finding]) -> Verdict:
    """What the machine that wrote the log says of the model."""
    version = f" {run.version}" if run.version else f" of DeepStream {run.release}" if run.release else ""
    gpu = f" on {run.gpu}" if run.gpu else ""
    judge = f"TensorRT{version}{gpu}, from the log {log}"
    state: State = "refused" if refused or run.ending == "failed" else "unknown"
    if refused:
        message = f"refuses {counted(len(refused), 'place')}"
    elif run.ending == "failed":
        message = "fails, and the log does not say why: save both streams (2>&1), or add --verbose"
    elif run.ending == "passed":
        state, message = "accepted", "built it"
    else:
        message = "unknown: the log stops before it says how the run ended"
    return Verdict(judge, state, message)


def log_check(run: Run) -> Check:
    """Who wrote the log and how the run ended."""
    end = {"passed": "says that it passed", "failed": "says that it failed", "cut": "does not say how the run ended"}
    earlier = f"; {counted(run.runs - 1, 'earlier run')} in it not looked at" if run.runs > 1 else ""
    names = ("version", "gpu", "capability", "model", "precision", "command", "lines")
    figures = {"producer": run.producer, **{name: getattr(run, name) for name in names}}
    status: Status = {"passed": "pass", "failed": "fail", "cut": "skip"}[run.ending]  # type: ignore[assignment]
    producer = "TensorRT's Python logger" if run.producer == "Python" else run.producer
    text = f"written by {producer}, {counted(run.lines, 'line')}, {end[run.ending]}{earlier}"
    return Check("log", status, text, figures)


def _model_checks(run: Run, model: Path | None, refused: list[Finding], places: Places | None) -> list[Check]:
    """Whether the model is the one that the log is about."""
    if model is None or places is None:
        return [
            Check("places", "skip", "no MODEL given: the names are the log's own, and what surgeon fix does is unknown")
        ]
    placed = [finding for finding in refused if places.has(finding.path, finding.node)]
    named = [finding for finding in refused if finding.node]
    about = Path(run.model.replace("\\", "/")).name
    other = f"; the log is about {about}" if about and about != model.name else ""
    if len(placed) < len(named):
        text = f"{counted(len(named) - len(placed), 'place')} of {len(named)} not in {model}{other}"
        return [Check("places", "skip", text)]
    if other and not refused:
        return [Check("places", "skip", f"nothing shows that it is about {model}{other}")]
    return [Check("places", "pass", f"{counted(len(placed), 'place')} found in {model}{other}")] if placed else []


def _with_fixable(
    refused: list[Finding], view: ModelView, places: Places, model: Path, target: Target
) -> list[Finding]:
    """The findings with `fixable`: the passes for the target rewrite the node, and its table takes the result."""
    fixed = fixed_copy(view, str(model.parent), Options(target=target.name))
    after = ModelView(fixed) if fixed is not None else None
    left = table_findings(after, target) if after is not None else []

    def fixable(finding: Finding) -> bool:
        if after is None or not places.has(finding.path, finding.node):
            return False
        return bool(mark([finding], view, after, left, complete=False)[0].details["fixable"])

    return [replace(finding, details={**finding.details, "fixable": fixable(finding)}) for finding in refused]
