"""Verdicts on a whole model: of the parser and builder that ran here, of a table, of onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from surgery.diagnose.model_view import ModelView
from surgery.diagnose.search.refusals import Refusals
from surgery.diagnose.static import table_findings
from surgery.targets import RTX, Target
from surgery.targets.wrong_results import KIND
from verify.model.read import read_model
from verify.report import Finding, State, Verdict, counted
from verify.tensorrt import engine
from verify.tensorrt.engine import Profiles


def by_tensorrt(found: Refusals, build: bool) -> Verdict:
    """The verdict of the parser and, with `build`, of the builder that ran here."""
    errors = [finding for finding in found.findings if finding.severity == "error"]
    how = "built here" if build else "parsed here, not built"
    skipped = [check for check in found.checks if check.status == "skip" and (build or "builder" not in check.name)]
    if errors:
        return Verdict(f"{engine.product()} ({how})", "refused", f"refuses {counted(len(errors), 'place')}")
    if skipped or not found.complete:
        why = skipped[0].message if skipped else "not all of the model could be looked at"
        return Verdict(f"{engine.product()} ({how})", "unknown", f"unknown: {why}")
    return Verdict(f"{engine.product()} ({how})", "accepted", "accepts it")


def by_table(target: Target, findings: Sequence[Finding]) -> Verdict:
    """The verdict of a target's table: the places it refuses, does not know, and computes as something else."""
    wrong = sum(finding.severity == "error" and finding.details.get("kind") == KIND for finding in findings)
    maybe_wrong = sum(finding.severity == "warning" and finding.details.get("kind") == KIND for finding in findings)
    refused = sum(finding.severity == "error" for finding in findings) - wrong
    unknown = sum(finding.severity == "warning" for finding in findings) - maybe_wrong
    table = "the table of its answers" if target.family == RTX else "NVIDIA's operator table"
    state: State = "refused" if refused or wrong else "unknown" if unknown or maybe_wrong else "accepted"
    parts = [f"refuses {counted(refused, 'place')}"] if refused else []
    parts += [f"computes something else at {counted(wrong, 'place')}"] if wrong else []
    parts += [f"may compute something else at {counted(maybe_wrong, 'place')}"] if maybe_wrong else []
    parts += [f"{counted(unknown, 'place')} unknown"] if unknown else []
    return Verdict(f"{target.label} by {table}", state, ", ".join(parts) or "accepts it")


def by_onnxruntime(file: Path) -> Verdict:
    """Whether onnxruntime's CPU provider loads the model."""
    import onnxruntime

    from verify.run.known_faults import ends_process
    from verify.run.session import open_session

    error = ends_process(read_model(file)) or open_session(file, backend="onnxruntime").error
    judge = f"onnxruntime {onnxruntime.__version__} (loaded here)"
    return Verdict(judge, "refused" if error else "accepted", f"refuses it: {error}" if error else "accepts it")


def verdict_of(
    file: Path, target: Target, *, build: bool = False, profiles: Profiles | None = None, seconds: float = 300.0
) -> Verdict:
    """The target's verdict on a file: of the installed parser or builder, else of its table.

    Args:
        build: run the builder too; without it the verdict is that of the parser, and says so.
        profiles: {input: (min, opt, max)} for the builder; None: it tries guessed sizes.
        seconds: limit of the parser and builder.

    Raises:
        SurgeonError: the file cannot be read.
    """
    if target.family == "onnxruntime":
        return by_onnxruntime(file)
    if target.family == RTX and engine.available():
        return _in_one_question(file, build, profiles, seconds)
    view = ModelView(read_model(file))
    return _with_advice(by_table(target, table_findings(view, target)), file)


def _in_one_question(file: Path, build: bool, profiles: Profiles | None, seconds: float) -> Verdict:
    judge = f"{engine.product()} ({'built here' if build else 'parsed here, not built'})"
    if not build:
        refusals = engine.parse(file, limit=seconds)
        places = {(refusal.node, refusal.node_name, refusal.tensor) for refusal in refusals}
        found = Verdict(judge, "refused" if refusals else "accepted", f"refuses {counted(len(places), 'place')}")
        return _with_advice(found if refusals else replace(found, message="accepts it"), file)
    built = engine.build(file, profiles, limit=seconds)
    if built.ok and built.derived and built.profiles:
        return Verdict(judge, "unknown", "builds at guessed sizes; give --input-shape for others")
    if built.ok:
        return Verdict(judge, "accepted", "accepts it")
    count = len({(refusal.node, refusal.node_name, refusal.tensor) for refusal in built.refusals})
    message = f"refuses {counted(count, 'place')}" if count else "its builder refuses it"
    return _with_advice(Verdict(judge, "refused", message), file)


def _with_advice(verdict: Verdict, file: Path) -> Verdict:
    """The verdict, with the command that explains it unless the model is accepted."""
    if verdict.state == "accepted":
        return verdict
    return replace(verdict, message=f"{verdict.message}: surgeon diagnose {file}")
