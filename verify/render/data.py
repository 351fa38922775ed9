"""Reports as JSON, described by `report.schema.json`; a change that a reader could notice raises its version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from verify.report import Check, Finding, Report, exit_code

SCHEMA_VERSION = "1.2"


def tool_version() -> str:
    """Version of the installed distribution; "0" if surgeon is not installed."""
    try:
        return version("onnx-surgeon")
    except PackageNotFoundError:
        return "0"


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `to_json`."""
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath("report.schema.json").read_text(encoding="utf-8"))
    return loaded


def plain(value: Any) -> Any:
    """`value` in JSON types: NumPy scalars become numbers; NaN and infinities, which JSON lacks, become strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def check_data(check: Check) -> dict[str, Any]:
    """One check in JSON types."""
    return {
        "name": check.name,
        "status": check.status,
        "message": plain(check.message),
        "figures": plain(check.figures),
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    """One finding in JSON types; its `fix`, which is code, becomes `fixable`."""
    texts = ("code", "severity", "message", "node", "op", "path", "why", "advice", "where")
    data: dict[str, Any] = {name: plain(getattr(finding, name)) for name in texts}
    details = plain(finding.details)
    data["fixable"] = bool(details.pop("fixable", finding.fix is not None))
    data["details"] = details
    return data


def to_json(reports: Sequence[Report]) -> str:
    """The reports as one JSON document, ending in a newline."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "surgeon", "version": tool_version()},
        "exit_code": exit_code(reports),
        "reports": [
            {
                "model": plain(report.model),
                "exit_code": report.exit_code,
                "cached": report.cached,
                "checks": [check_data(check) for check in report.checks],
                "verdicts": [plain(vars(one)) for one in report.verdicts],
                "findings": [finding_data(finding) for finding in report.findings],
            }
            for report in reports
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
