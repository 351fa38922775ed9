"""Nodes that TensorRT takes and computes as something else, for a command that asks for no target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from surgery.diagnose.model_view import ModelView
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.static import wrong_result_findings
from surgery.targets import TARGETS, load_target
from surgery.targets.table import load_table, version_of
from surgery.targets.wrong_results import wrong_results
from verify.report import Check, Finding, counted

if TYPE_CHECKING:
    import onnx

NAME = "silent faults"
# Those that DeepStream ships, and the first of the next major version.
VERSIONS = tuple(name.partition("-")[2] for name in TARGETS if name.startswith("tensorrt-1"))


def silent_faults(model: onnx.ModelProto, name: str, version: str = "") -> tuple[list[Check], list[Finding]]:
    """The nodes of a model that some version of full TensorRT is known to compute wrongly, with no error.

    Args:
        model: its large weights may lie in other files.
        name: how messages name its file.
        version: the TensorRT that was asked for, "10.14.1.48"; its faults fail the check. Empty: every one of
            VERSIONS is asked, and faults are warnings, or notes where the values decide.

    Returns:
        A check, none where there are warnings instead; a finding for each fault of each node.
    """
    view = ModelView(model)
    if version:
        return _of_version(view, name, ".".join(version.split(".")[:2]))
    findings = _merged({one: _findings(view, one) for one in VERSIONS}, name)
    if any(finding.severity == "warning" for finding in findings):
        return [], findings
    said = f"no place that {_span(VERSIONS)} certainly compute wrongly"
    said += f"; {counted(len(findings), 'place')} where the values decide" if findings else ""
    return [Check(NAME, "pass", said)], findings


def _of_version(view: ModelView, name: str, version: str) -> tuple[list[Check], list[Finding]]:
    table = load_table("tensorrt")
    if not table.first <= version_of(version) <= table.last:
        return [Check(NAME, "skip", f"no faults of TensorRT {version} are recorded: it is not in the table")], []
    findings = _findings(view, version)
    wrong = sum(finding.severity == "error" for finding in findings)
    command = f"surgeon diagnose {name} --target tensorrt-{version}"
    if wrong:
        said = f"TensorRT {version} computes {counted(wrong, 'place')} wrongly: {command}"
        return [Check(NAME, "fail", said)], findings
    said = f"no place that TensorRT {version} certainly computes wrongly"
    said += f"; {counted(len(findings), 'place')} where the values decide: {command}" if findings else ""
    return [Check(NAME, "pass", said)], findings


def _findings(view: ModelView, version: str) -> list[Finding]:
    """The findings of one version; types are not inferred where no operator of the model has a fault there."""
    faulty = {op for row in wrong_results().values() if row.at(version_of(version)) for op in row.ops}
    # An operator inside a subgraph is not in view.nodes, so a model with subgraphs is always searched.
    if faulty.isdisjoint(node.op_type for node in view.nodes) and not any(
        attribute.HasField("g") or attribute.graphs for node in view.nodes for attribute in node.attribute
    ):
        return []
    return wrong_result_findings(view, load_target(f"tensorrt-{version}"))


def _merged(by_version: dict[str, list[Finding]], name: str) -> list[Finding]:
    """One finding for each fault of each node, which names the versions that compute it wrongly."""
    places: dict[tuple[str, str, str], dict[str, Finding]] = {}
    for version, findings in by_version.items():
        for finding in findings:
            places.setdefault((finding.code, finding.path, finding.node), {})[version] = finding
    return [_of_place(found, name) for found in places.values()]


def _of_place(found: dict[str, Finding], name: str) -> Finding:
    certain = [version for version, finding in found.items() if finding.severity == "error"]
    versions = certain or list(found)
    first = found[versions[0]]
    verb = ("computes" if len(versions) == 1 else "compute") if certain else "may compute"
    says = first.message.partition(": ")[2]
    command = f"{name} --target tensorrt-{versions[0]}"
    fixable = rule_texts()[first.code].fixable
    return replace(
        first,
        message=f"{_span(versions)} {verb} it wrongly: {says}",
        advice=f"surgeon diagnose {command}" + (f"; surgeon fix {command} rewrites it" if fixable else ""),
        severity="warning" if certain else "note",
        details={**first.details, "versions": versions},
    )


def _span(versions: Sequence[str]) -> str:
    """`TensorRT 10.9`, or `TensorRT 10.9 to 11` for several."""
    return f"TensorRT {versions[0]}" + (f" to {versions[-1]}" if len(versions) > 1 else "")
