"""Print reports: text for people, JSON, SARIF, GitHub annotations and JUnit for programs, one self-contained page."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from verify.atomic_write import write_whole
from verify.errors import SurgeonError
from verify.render.rule_text import RuleText
from verify.report import Report, exit_code

__all__ = ["FORMATS", "RuleText", "show", "write_html"]

FORMATS = ("text", "json", "sarif", "github", "junit")


def show(
    reports: Sequence[Report],
    format: str = "text",
    *,
    rules: Mapping[str, RuleText] | None = None,
    stream: TextIO | None = None,
    quiet: bool = False,
) -> int:
    """Print `reports` and return their exit code.

    Args:
        format: one of FORMATS.
        rules: texts of the rules by code; SARIF and the page quote them.
        stream: standard output when None.
        quiet: text only; leave out passed checks and notes.

    Raises:
        SurgeonError: `format` is not one of FORMATS.
    """
    stream = stream or sys.stdout
    if format == "text":
        from verify.render.text import print_text

        print_text(reports, stream, quiet=quiet)
    elif format == "json":
        from verify.render.data import to_json

        stream.write(to_json(reports))
    elif format == "sarif":
        from verify.render.sarif import to_sarif

        stream.write(to_sarif(reports, rules or {}))
    elif format == "github":
        from verify.render.github import to_github

        stream.write(to_github(reports))
    elif format == "junit":
        from verify.render.junit import to_junit

        stream.write(to_junit(reports))
    else:
        raise SurgeonError(f"unknown format '{format}'; choose one of {', '.join(FORMATS)}")
    return exit_code(reports)


def write_html(
    reports: Sequence[Report], path: Path, *, title: str, rules: Mapping[str, RuleText] | None = None
) -> None:
    """Write the reports to `path` as one page that needs no network and no script.

    Raises:
        SurgeonError: the page cannot be written.
    """
    from verify.render.page import to_html

    page = to_html(reports, title=title, rules=rules or {})
    write_whole(path, page.encode("utf-8", "replace"))
