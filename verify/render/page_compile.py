"""What TensorRT built, on the HTML page: builds side by side, then attentions and largest tensors of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from verify.render.page_parts import scrolling

Build = Mapping[str, Any]


def builds_html(builds: Sequence[Build] | None) -> str:
    """`builds` are dictionaries as `verify.tensorrt.table.as_data` makes them, the first one the model itself."""
    if not builds:
        return ""
    parts = [_side_by_side(builds)]
    for build in builds:
        parts += [_attentions(build), _largest(build)]
    return "".join(parts)


def _side_by_side(builds: Sequence[Build]) -> str:
    columns = [dict(build["figures"]) for build in builds]
    labels = dict.fromkeys(label for build in builds for label, _ in build["figures"])
    rows = [(label.strip(), *(column.get(label, "") for column in columns)) for label in labels]
    names = [build["model"] for build in builds]
    return _table("What TensorRT built", ["", *names], rows, numbers=range(1, len(names) + 1))


def _attentions(build: Build) -> str:
    rows = [
        (
            found["name"],
            *(found[size] or "?" for size in ("heads", "queries", "keys")),
            _widths(found["key_width"], found["value_width"]),
            "yes" if found["fused"] else f"no: {found['why']}",
        )
        for found in build["attentions"]
    ]
    head = ["attention", "heads", "queries", "keys", "width", "fused"]
    return _table(f"Attention of {build['model']}", head, rows, numbers=range(1, 5)) if rows else ""


def _largest(build: Build) -> str:
    rows = [
        (row["source"], " × ".join(map(str, row["dims"])), row["type"], f"{row['bytes'] / 1e6:.1f}")
        for row in build["largest"]
    ]
    head = ["made by", "shape", "type", "MB"]
    return _table(f"Largest tensors of {build['model']}", head, rows, numbers=[3]) if rows else ""


def _widths(key: int, value: int) -> str:
    return "?" if not key else f"{key}" if key == value else f"{key}/{value}"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int]) -> str:
    right = set(numbers)
    top = "".join(
        f'<th scope="col"{_style(index, right)}>{escape(str(name)) or "<span class=hidden>figure</span>"}</th>'
        for index, name in enumerate(head)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td{_style(index, right)}>{escape(str(cell))}</td>" for index, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    table = f"<table><caption class=hidden>{escape(title)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f"<h3>{escape(title)}</h3>{scrolling(f'{table}</table>', title)}"


def _style(index: int, right: set[int]) -> str:
    return ' class="number"' if index in right else ""
