"""The tables of what a target takes: rows by operator, condition and version, each with its kind and source."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Version = tuple[int, ...]
State = Literal["accepted", "refused", "unknown"]
NEVER = "never"
SHIPPED = {"kind": "parser source", "source": "plugin/api/inferPlugin.cpp of the release branch"}
PROBED = ("float32", "float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8", "bool")


@dataclass(frozen=True)
class Row:
    """One row of a table: what it is about, and from which version to which it is taken.

    ops           operators; ("*",) for all; empty where only a pass can tell what the row is about
    when          condition that the row is about; "" for the operator as such
    since, until  first version that takes it (None: none does) and first that takes it no more (None: none)
    unknown_from  from this version on (and until `since`, where that comes later) nothing is known
    kind          "documented", "parser source", "RTX" (what TensorRT-RTX answered), "reported"
    source        where that stands
    says          what is refused, a sentence
    features      rows of the catalog that this row decides
    rtx_only      full TensorRT takes it although TensorRT-RTX does not
    """

    ops: tuple[str, ...]
    when: str
    since: Version | None
    until: Version | None
    unknown_from: Version | None
    kind: str
    source: str
    says: str
    features: tuple[str, ...] = ()
    rtx_only: bool = False

    def state(self, version: Version) -> State:
        """What this version does with what the row is about."""
        if self.until is not None and version >= self.until:
            return "refused"
        unknown = self.unknown_from is not None and version >= self.unknown_from
        if self.since is None or version < self.since:
            return "unknown" if unknown else "refused"
        return "unknown" if unknown and self.unknown_from is not None and self.unknown_from > self.since else "accepted"


# What decides over an operator that no row is about.
LOOKED_UP = Row(
    (),
    "",
    None,
    None,
    None,
    "parser source",
    "onnx-tensorrt: an unknown operator is looked up as a plugin of its name",
    "",
)


@dataclass(frozen=True)
class Table:
    """All rows of one product, by operator.

    rows      operator, or "*" -> its rows in the order of the file
    features  key of the catalog -> the row that decides it
    dtypes    dtypes that no operator takes, as the row that says so
    never     those dtypes
    plugins   name of a plugin that the product ships -> its row
    opsets    (row, lowest, highest opset) that is documented
    types     operator -> type parameter of its schema -> dtypes of PROBED that it takes; other dtypes were not probed
    probed    what `types` comes from, as a row
    first     oldest version that the table is about, and `last` the newest
    missing   what to say of an ONNX operator that no row is about
    """

    rows: Mapping[str, tuple[Row, ...]]
    features: Mapping[str, Row]
    dtypes: Row
    never: frozenset[str]
    plugins: Mapping[str, Row]
    opsets: tuple[tuple[Row, int, int], ...]
    types: Mapping[str, Mapping[str, frozenset[str]]]
    probed: Row
    first: Version
    last: Version
    missing: State

    def of(self, op: str) -> tuple[Row, ...]:
        """The rows about an operator, those about every operator first."""
        return (*self.rows.get("*", ()), *self.rows.get(op, ()))


def version_of(text: str) -> Version:
    """(10, 14) of "10.14", (11, 0) of "11"."""
    numbers = tuple(int(part) for part in text.split("."))
    return numbers if len(numbers) > 1 else (*numbers, 0)


@cache
def load_table(name: str) -> Table:
    """The table in the file `name`.toml beside this module."""
    data = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    sources: dict[str, str] = data.get("sources", {})
    defaults: dict[str, Any] = data.get("defaults", {})
    by_operator: dict[str, list[Row]] = {}
    features: dict[str, Row] = {}
    plugins = {
        n: _row({"since": NEVER, **SHIPPED, **entry}, sources)
        for entry in data.get("plugin", ())
        for n in entry["names"]
    }
    for entry in data.get("row", ()):
        row = _row({**defaults, **entry}, sources)
        for op in row.ops:
            by_operator.setdefault(op, []).append(row)
        features.update(dict.fromkeys(row.features, row))
    dtypes = _row({"since": NEVER, **defaults, **data["dtypes"]}, sources)
    features.update(dict.fromkeys(dtypes.features, dtypes))
    return Table(
        {op: tuple(rows) for op, rows in by_operator.items()},
        features,
        dtypes,
        frozenset(data["dtypes"]["never"]),
        plugins,
        tuple((_row(entry, sources), *entry["range"]) for entry in data.get("opsets", ())),
        _types(name),
        _row({"since": NEVER, **defaults}, sources),
        version_of(data["versions"]["first"]),
        version_of(data["versions"]["last"]),
        data["versions"]["missing"],
    )


def _types(name: str) -> dict[str, dict[str, frozenset[str]]]:
    """The dtypes of each operator that were probed; empty for a product that cannot be."""
    file = files(__package__).joinpath(f"{name}.json")
    types = json.loads(file.read_text(encoding="utf-8")).get("types", {}) if file.is_file() else {}
    return {op: {key: frozenset(taken) for key, taken in kinds.items()} for op, kinds in types.items()}


def _row(entry: Mapping[str, Any], sources: Mapping[str, str]) -> Row:
    ops = entry.get("op", ())
    named = entry.get("source", "")
    parts = named.split()
    source = "; ".join(sources[part] for part in parts) if parts and all(part in sources for part in parts) else named
    return Row(
        ops=(ops,) if isinstance(ops, str) else tuple(ops),
        when=entry.get("when", ""),
        since=None if entry.get("since", NEVER) == NEVER else version_of(entry["since"]),
        until=version_of(entry["until"]) if "until" in entry else None,
        unknown_from=version_of(entry["unknown_from"]) if "unknown_from" in entry else None,
        kind=entry.get("kind", ""),
        source=source,
        says=entry.get("says", ""),
        features=tuple(entry.get("features", ())),
        rtx_only=entry.get("rtx_only", False),
    )
