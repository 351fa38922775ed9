"""Where tables are printed: as wide as the terminal, or as COLUMNS says, or wide enough for a log."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LOG_COLUMNS = 120


def console() -> Console:
    """A console on standard output that prints what it is given as it is."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return Console(highlight=False, markup=False, width=None if known else LOG_COLUMNS)
