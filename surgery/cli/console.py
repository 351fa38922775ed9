"""The console that tables are printed on: as wide as the terminal, as COLUMNS, or as a log."""

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
