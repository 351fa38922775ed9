"""Reports as SARIF 2.1.0 (OASIS), the format of code-scanning pages.

A finding becomes a result; its physical location is the model file, its logical location the node. A failed check
becomes a result of the rule "check-NAME". A check that was skipped or could not run becomes a notification.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from verify.render.data import finding_data, plain, tool_version
from verify.render.github import message_of
from verify.render.rule_text import RuleText
from verify.report import Check, Finding, Report, Verdict, exit_code

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
SOURCE_LINE = re.compile(r"(?P<file>[\w./\\-]+\.py):(?P<line>[1-9]\d*)")


def to_sarif(reports: Sequence[Report], rules: Mapping[str, RuleText]) -> str:
    """The reports as one SARIF log, ending in a newline."""
    results = [result for report in reports for result in _results(report)]
    codes = sorted({result["ruleId"] for result in results})
    for result in results:
        result["ruleIndex"] = codes.index(result["ruleId"])
    driver = {
        "name": "surgeon",
        "version": tool_version(),
        "rules": [_rule(code, rules.get(code)) for code in codes],
    }
    code = exit_code(reports)
    invocation: dict[str, Any] = {
        "executionSuccessful": code in (0, 1),
        "exitCode": code,
    }
    said = [_notification(report, check) for report in reports for check in report.checks if _is_said(check)]
    said += [_judgement(report, one) for report in reports for one in report.verdicts]
    if said:
        invocation["toolExecutionNotifications"] = said
    run = {
        "tool": {"driver": driver},
        "artifacts": [{"location": location} for location in _unique(_artifact(report.model) for report in reports)],
        "invocations": [invocation],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _unique(items: Any) -> list[Any]:
    return list({json.dumps(item): item for item in items}.values())


def _rule(code: str, text: RuleText | None) -> dict[str, Any]:
    if text is None and code.startswith("check-"):
        return {"id": code, "shortDescription": {"text": f"The check '{code.removeprefix('check-')}' failed."}}
    if text is None:
        return {"id": code}
    help_text = "\n\n".join(f"{heading}: {body}" for heading, body in text.sections.items()) or text.title
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in text.name.split("-")),
        "shortDescription": {"text": plain(text.title) or code},
        "fullDescription": {"text": plain(help_text) or code},
        "help": {"text": plain(help_text) or code},
        "properties": {"fixable": text.fixable, "kind": text.kind},
    }


def _results(report: Report) -> list[dict[str, Any]]:
    failed = [_of_check(report, check) for check in report.checks if check.status == "fail"]
    return failed + [_of_finding(report, finding) for finding in report.findings]


def _of_check(report: Report, check: Check) -> dict[str, Any]:
    return {
        "ruleId": _check_code(check),
        "level": "error",
        "message": {"text": plain(check.message) or check.name},
        "locations": [{"physicalLocation": _physical(report.model)}],
        "partialFingerprints": _fingerprint(report.model, "check", check.name),
    }


def _check_code(check: Check) -> str:
    """`check-tensorrt-parser` for the check "tensorrt parser": an identifier, as code-scanning pages want it."""
    return "check-" + (re.sub(r"[^a-z0-9]+", "-", check.name.lower()).strip("-") or "unnamed")


def _of_finding(report: Report, finding: Finding) -> dict[str, Any]:
    data = finding_data(finding)
    name = "/".join(part for part in (finding.path, finding.node) if part)
    location: dict[str, Any] = {"physicalLocation": _physical(report.model)}
    if name:
        node = {"name": finding.node or name, "fullyQualifiedName": name, "kind": "object"}
        location["logicalLocations"] = [plain(node)]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": finding.severity,
        "message": {"text": plain(message_of([finding]))},
        "locations": [location],
        "partialFingerprints": _fingerprint(report.model, finding.code, name, finding.message),
        "properties": {key: data[key] for key in ("op", "where", "fixable", "details")},
    }
    source = SOURCE_LINE.search(finding.where)
    if source:
        line = {"artifactLocation": _artifact(source["file"]), "region": {"startLine": int(source["line"])}}
        result["relatedLocations"] = [{"id": 0, "physicalLocation": line, "message": {"text": plain(finding.where)}}]
    return result


def _is_said(check: Check) -> bool:
    """Whether a check did not run: it was skipped, or its model or backend is missing."""
    return check.status == "skip" or "exit_code" in check.figures


def _notification(report: Report, check: Check) -> dict[str, Any]:
    skipped = check.status == "skip"
    text = f"{'skipped' if skipped else 'not checked'}: {check.name}: {check.message}"
    return {
        "level": "note" if skipped else "error",
        "message": {"text": plain(text)},
        "locations": [{"physicalLocation": _physical(report.model)}],
    }


def _judgement(report: Report, one: Verdict) -> dict[str, Any]:
    return {
        "level": "error" if one.asked and one.state == "refused" else "note",
        "message": {"text": plain(f"{one.judge}: {one.message}")},
        "locations": [{"physicalLocation": _physical(report.model)}],
        "properties": {"state": one.state, "asked": one.asked},
    }


def _physical(model: str) -> dict[str, Any]:
    # Code-scanning pages need a line number; a model has no lines, so line 1 stands for the file.
    return {"artifactLocation": _artifact(model), "region": {"startLine": 1}}


def _artifact(file: str) -> dict[str, Any]:
    """A path relative to the working directory if the file is inside it, else an absolute file URI."""
    path = Path(plain(file) or "model")
    if path.is_absolute():
        try:
            path = path.relative_to(Path.cwd())
        except ValueError:
            return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix(), safe="/"), "uriBaseId": "%SRCROOT%"}


def _fingerprint(*parts: str) -> dict[str, str]:
    return {"surgeon/v1": hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]}
