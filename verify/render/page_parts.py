"""Parts of the HTML page that stand on their own: marks, tables that scroll, histograms, op counts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from verify.render.histogram_svg import histogram_svg

MARKS = {"pass": ("pass", "pass"), "fail": ("fail", "FAIL"), "skip": ("skip-mark", "skipped")}


def mark(status: str) -> str:
    """The word for a status; colour only repeats it."""
    style, word = MARKS[status]
    return f'<span class="mark {style}">{word}</span>'


def scrolling(html: str, label: str) -> str:
    """A wide thing in a box of its own that scrolls, with the keyboard too."""
    return f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">{html}</div>'


def tensors_html(tensors: Mapping[str, Any] | None, check: str) -> str:
    """Statistics of each tensor as a table, then the histograms of those that have one."""
    if not tensors:
        return ""
    columns = _columns(tensors)
    head = "".join(f'<th scope="col" class="{_kind(tensors, column)}">{escape(column)}</th>' for column in columns)
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th>'
        + "".join(f'<td class="{_kind(tensors, column)}">{escape(_cell(row.get(column)))}</td>' for column in columns)
        + "</tr>"
        for name, row in tensors.items()
    )
    table = (
        f"<table><caption class=hidden>Error of each tensor ({escape(check)})</caption>"
        f'<thead><tr><th scope="col">tensor</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
    figures = "".join(
        f"<figure><figcaption><code>{escape(name)}</code>: elements by size of error</figcaption>"
        f"{histogram_svg(row['histogram'], f'Error histogram of {name}')}</figure>"
        for name, row in tensors.items()
        if row.get("histogram")
    )
    drawn = f'<div class="histograms">{figures}</div>' if figures else ""
    return f"<h3>Error of each tensor ({escape(check)})</h3>{scrolling(table, f'Tensors of {check}')}{drawn}"


def op_counts_html(counts: Mapping[str, Any] | None) -> str:
    """How many nodes of each operator there were and are, the largest change first."""
    if not counts:
        return ""
    before, after = counts["before"], counts["after"]
    operators = sorted({*before, *after}, key=lambda op: (-abs(after.get(op, 0) - before.get(op, 0)), op))
    rows = "".join(_count_row(f"<code>{escape(op)}</code>", before.get(op, 0), after.get(op, 0)) for op in operators)
    total = _count_row("all", sum(before.values()), sum(after.values()))
    head = "".join(f'<th scope="col" class="number">{name}</th>' for name in ("before", "after", "change"))
    table = (
        "<table><caption class=hidden>Nodes of each operator</caption>"
        f'<thead><tr><th scope="col">operator</th>{head}</tr></thead><tbody>{total}{rows}</tbody></table>'
    )
    return f"<h3>Nodes of each operator</h3>{scrolling(table, 'Operators')}"


def _count_row(name: str, before: int, after: int) -> str:
    change = f"{after - before:+d}" if after != before else "0"
    cells = "".join(f'<td class="number">{value}</td>' for value in (before, after, change))
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _columns(tensors: Mapping[str, Any]) -> list[str]:
    """Statistics that are one number or word; counts of mismatches only where there is one."""
    names = dict.fromkeys(key for row in tensors.values() for key, value in row.items() if not _is_nested(value))
    quiet = {
        name for name in names if name.endswith("_mismatch") and not any(row.get(name) for row in tensors.values())
    }
    return [name for name in names if name not in quiet]


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _kind(tensors: Mapping[str, Any], column: str) -> str:
    """CSS class of a column: figures stand to the right, words to the left."""
    words = any(isinstance(row.get(column), str) and not _reads_as_number(row[column]) for row in tensors.values())
    return "word" if words else "number"


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
