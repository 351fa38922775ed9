"""Width of the output: tables and wrapped text are as wide as the terminal, as COLUMNS, or as a log."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LOG_COLUMNS = 120


def console() -> Console:
    """A console on standard output that adds no markup and no highlighting."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return Console(highlight=False, markup=False, width=None if known else LOG_COLUMNS)


def wrapped(text: str, indent: str, hanging: str | None = None) -> list[str]:
    """The text in lines of at most the width of the terminal, and at most 120; no word is cut.

    Args:
        indent: put before the first line.
        hanging: put before the others; `indent` by default.
    """
    import shutil
    import textwrap

    more = indent if hanging is None else hanging
    width = max(min(shutil.get_terminal_size((100, 24)).columns, LOG_COLUMNS), len(more) + 24)
    lines = textwrap.TextWrapper(
        width, initial_indent=indent, subsequent_indent=more, break_long_words=False, break_on_hyphens=False
    ).wrap(text)
    return lines or [indent]


def fitted(text: str) -> str:
    """The text; on a terminal its indented lines that are too long are wrapped. In a log each stays one line."""
    if not sys.stdout.isatty():
        return text
    found: list[str] = []
    for line in text.split("\n"):
        body = line.lstrip(" ")
        indent = line[: len(line) - len(body)]
        found += wrapped(body, indent, f"{indent}  ") if indent else [line]
    return "\n".join(found)
