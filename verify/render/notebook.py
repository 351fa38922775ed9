"""Output for notebooks: a report as a table, and a line that shows what is running."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from verify.report import Report


def to_notebook(report: Report) -> str:
    """The report as a piece of HTML in the colours of the notebook around it; every name is escaped."""
    from verify.render.fill_template import fill
    from verify.render.page import STEERING, report_parts
    from verify.render.text import summary

    return fill("notebook.html", report=report_parts(report), summary=summary([report])).translate(STEERING)


@contextmanager
def running(text: str) -> Iterator[None]:
    """Show `text` in the output of a notebook's cell while the body runs, and then how long it took.

    Outside of a notebook nothing is shown, so that a log stays as it is.
    """
    line = _notebook_line()
    if line is None:
        yield
        return
    from html import escape

    started, words = time.perf_counter(), escape(text)
    line.display({"text/html": f"<i>{words} ...</i>"}, raw=True)
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        line.update({"text/html": f"<i>{words}: {outcome} {time.perf_counter() - started:.1f} s</i>"}, raw=True)


def _notebook_line() -> Any:
    """A line of output that can be overwritten, or None outside of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import DisplayHandle

    make: Any = DisplayHandle
    return make()
