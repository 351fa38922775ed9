"""Reports as JUnit XML, which most CI servers read: a test suite for each model."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from verify.render.data import plain
from verify.render.github import message_of
from verify.render.text import group_findings, visible
from verify.report import Check, Finding, Report


def to_junit(reports: Sequence[Report]) -> str:
    """A test case for each check and for each group of findings that are errors; other findings are output."""
    root = ElementTree.Element("testsuites", name="surgeon")
    for report in reports:
        root.append(_suite(report))
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(report: Report) -> ElementTree.Element:
    groups = group_findings(report.findings)
    errors = [group for group in groups if group[0].severity == "error"]
    others = [group for group in groups if group[0].severity != "error"]
    suite = ElementTree.Element("testsuite", name=_text(report.model))
    suite.extend(_of_check(report.model, check) for check in report.checks)
    suite.extend(_of_errors(report.model, group) for group in errors)
    failures = sum(check.status == "fail" for check in report.checks) + len(errors)
    skipped = sum(check.status == "skip" for check in report.checks)
    counts = {"tests": len(report.checks) + len(errors), "failures": failures, "skipped": skipped}
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    if others:
        lines = [f"{group[0].severity} {group[0].code} {message_of(group)}" for group in others]
        ElementTree.SubElement(suite, "system-out").text = _text("\n".join(lines))
    return suite


def _case(model: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_text(model), name=_text(name))


def _of_check(model: str, check: Check) -> ElementTree.Element:
    case = _case(model, check.name)
    seconds = check.figures.get("seconds")
    if isinstance(seconds, (int, float)):
        case.set("time", f"{seconds:.3f}")
    if check.status == "fail":
        ElementTree.SubElement(case, "failure", message=_text(check.message), type="check")
    elif check.status == "skip":
        ElementTree.SubElement(case, "skipped", message=_text(check.message))
    return case


def _of_errors(model: str, group: Sequence[Finding]) -> ElementTree.Element:
    case = _case(model, f"{group[0].code} {group[0].op}".strip())
    ElementTree.SubElement(case, "failure", message=_text(message_of(group)), type=group[0].code)
    return case


def _text(text: str) -> str:
    """`text` without control characters, which XML does not allow."""
    return visible(plain(text)).encode("utf-8", "replace").decode()
