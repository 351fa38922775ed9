"""What the page about versions of TensorRT shows: the cases of the tests, and the rows of wrong results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnx

from surgery.passes import all_passes
from surgery.targets import load_target
from surgery.targets.judge import Ruling, places
from surgery.targets.wrong_results import wrong_results
from verify.model.infer import infer_types

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = Path(__file__).resolve().parent.parent / "tests" / "surgery" / "targets" / "tensorrt_cases.toml"
VERSIONS = ("10.9", "10.14", "10.16", "11")
# The page explains these short names.
SHORT = {
    "onnx-tensorrt docs/operators.md of 10.1, 10.14, 10.15, 10.16 and 11.1": "operators.md",
    "onnx-tensorrt docs/Changelog.md": "Changelog.md",
    "onnx-tensorrt source: onnxOpImporters.cpp, onnxOpCheckers.cpp, AttentionHelpers.cpp": "source of onnx-tensorrt",
}
WORDS = {"accepted": "yes", "refused": "no", "unknown": "unknown"}


def versions() -> str:
    """One row for each case: what the table of each version says of it, from which source, and what `fix` does."""
    cases = tomllib.loads(CASES.read_text(encoding="utf-8"))
    head = ["model of one node", *VERSIONS, "`fix --target` rewrites it for", "source"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name, case in cases.items():
        found = [_ruling(case, version) for version in VERSIONS]
        fixed = case.get("fixed", [])
        done = "every version that does not take it" if fixed == _not_taken(found) and fixed else ", ".join(fixed)
        cells = [name, *(WORDS[ruling.state] for ruling in found), done or "-", "; ".join(_sources(found))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def wrong() -> str:
    """One row for each fault that gives wrong values and no error."""
    names = {rule.code: rule.name for rule in all_passes()}
    lines = ["| operators | what TensorRT computes | versions | `fix` | source |", "| --- | --- | --- | --- | --- |"]
    for row in wrong_results().values():
        span = f"{_version(row.since)} to {_version(row.until)}" if row.until else f"from {_version(row.since)}"
        rewrite = f"{row.code} rewrites it" if row.code in names else f"no exact rewrite ({row.code} warns)"
        ops = ", ".join(row.ops)
        lines.append(f"| {ops} | {row.says} | {span}, seen in {_version(row.seen)} | {rewrite} | {row.source} |")
    return "\n".join(lines)


def _ruling(case: dict[str, Any], version: str) -> Ruling:
    text = f'<ir_version: 10, opset_import: ["" : {case["opset"]}, "my" : 1]> {case["model"]}'
    judge = load_target(f"tensorrt-{version}").judge
    assert judge is not None
    return next(iter(places(infer_types(onnx.parser.parse_model(text)), judge))).ruling


def _not_taken(found: list[Ruling]) -> list[str]:
    return [version for version, ruling in zip(VERSIONS, found, strict=True) if ruling.state != "accepted"]


def _sources(found: list[Ruling]) -> list[str]:
    """Kind and source of the rows that decide, each once."""
    rows = [ruling.row for ruling in found if ruling.row is not None]
    return list(dict.fromkeys(f"{row.kind}: {_short(row.source)}" for row in rows))


def _short(source: str) -> str:
    for whole, name in SHORT.items():
        source = source.replace(whole, name)
    return source


def _version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
