"""Tables of the HTML page: errors of tensors, operators before and after, and what TensorRT built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Column(NamedTuple):
    """Heading and CSS class of a column: "number" is aligned right, "word" left."""

    name: str
    kind: str = "number"


class Table(NamedTuple):
    """A table whose first column names the rows, in a code font if `code`."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    code: bool = True


# Lists of a golden's check, by their key.
LISTED = {
    "not_caught": "Planted faults that the golden does not catch",
    "not_covered": "What the inputs of the golden do not reach",
    "notes": "Notes of the recording",
}


def tables_of(check: str, figures: Mapping[str, Any]) -> list[Table]:
    """The tables of a check's figures (JSON types); `check` is its name."""
    found = []
    if figures.get("tensors"):
        found.append(tensor_errors(figures["tensors"], check))
    for key, title in LISTED.items():
        if figures.get(key):
            found.append(Table(title, [Column("", "word")], [(entry,) for entry in figures[key]], code=False))
    if figures.get("op_counts"):
        found.append(op_counts(figures["op_counts"]))
    if figures.get("builds"):
        found += builds(figures["builds"])
    return found


def tensor_errors(tensors: Mapping[str, Any], check: str) -> Table:
    """Statistics that are one number or word; counts of mismatches only where some tensor has one."""
    names = dict.fromkeys(
        key for row in tensors.values() for key, value in row.items() if not isinstance(value, (dict, list))
    )
    shown = [name for name in names if not name.endswith("_mismatch") or any(row.get(name) for row in tensors.values())]
    columns = [Column("tensor", "word"), *(Column(name, _kind(tensors, name)) for name in shown)]
    rows = [(tensor, *(_cell(row.get(name)) for name in shown)) for tensor, row in tensors.items()]
    return Table(f"Error of each tensor ({check})", columns, rows)


def op_counts(counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Nodes of each operator before and after: the total, then the operators with the largest change first."""
    before, after = counts["before"], counts["after"]
    pairs = {op: (before.get(op, 0), after.get(op, 0)) for op in sorted({*before, *after})}
    pairs = dict(sorted(pairs.items(), key=lambda item: -abs(item[1][1] - item[1][0])))
    pairs = {"all": (sum(before.values()), sum(after.values())), **pairs}
    rows = [(op, old, new, f"{new - old:+d}" if new != old else "0") for op, (old, new) in pairs.items()]
    columns = [Column("operator", "word"), Column("before"), Column("after"), Column("change")]
    return Table("Nodes of each operator", columns, rows)


def builds(built: Sequence[Mapping[str, Any]]) -> Iterable[Table]:
    """Builds side by side, then attentions and largest tensors of each, as `verify.tensorrt.table.as_data` has them."""
    figures = [dict(build["figures"]) for build in built]
    labels = dict.fromkeys(label for build in built for label, _ in build["figures"])
    rows = [(label.strip(), *(of_one.get(label, "") for of_one in figures)) for label in labels]
    columns = [Column("", "word"), *(Column(build["model"]) for build in built)]
    yield Table("What TensorRT built", columns, rows, code=False)
    for build in built:
        if build["attentions"]:
            yield _attentions(build)
        if build["largest"]:
            yield _largest(build)


def _attentions(build: Mapping[str, Any]) -> Table:
    rows = [
        (
            found["name"],
            *(found[size] or "?" for size in ("heads", "queries", "keys")),
            _widths(found["key_width"], found["value_width"]),
            "yes" if found["fused"] else f"no: {found['why']}",
        )
        for found in build["attentions"]
    ]
    sizes = [Column(name) for name in ("heads", "queries", "keys", "width")]
    columns = [Column("attention", "word"), *sizes, Column("fused", "word")]
    return Table(f"Attention of {build['model']}", columns, rows, code=False)


def _largest(build: Mapping[str, Any]) -> Table:
    rows = [
        (row["source"], " × ".join(map(str, row["dims"])), row["type"], f"{row['bytes'] / 1e6:.1f}")
        for row in build["largest"]
    ]
    columns = [Column("made by", "word"), Column("shape", "word"), Column("type", "word"), Column("MB")]
    return Table(f"Largest tensors of {build['model']}", columns, rows, code=False)


def _widths(key: int, value: int) -> str:
    return "?" if not key else f"{key}" if key == value else f"{key}/{value}"


def _kind(tensors: Mapping[str, Any], column: str) -> str:
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
