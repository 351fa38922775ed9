"""Models that a version of TensorRT accepts but computes wrongly: the rows of wrong_results.toml."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from surgery.targets.table import Version, version_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KIND = "computes something else"


@dataclass(frozen=True)
class WrongResult:
    """One fault of TensorRT that gives other values and no error.

    key       name of the fault; the `feature` of the pass that rewrites it
    ops       operators; when: condition on the node
    since     first version that may have it; seen: first version in which it was met; until: where it is mended
    always    wrong whatever the values are
    says      what is computed instead; source: where that stands
    code      of the pass, or of codes.toml
    """

    key: str
    ops: tuple[str, ...]
    when: str
    since: Version
    seen: Version
    until: Version | None
    always: bool
    says: str
    source: str
    code: str

    def at(self, version: Version) -> bool:
        """Whether this version has the fault, as far as is known."""
        return self.since <= version and (self.until is None or version < self.until)

    def certain(self, version: Version) -> bool:
        """Whether the result is wrong for sure: for all values, in a version not older than one where it was met."""
        return self.always and version >= self.seen


@cache
def wrong_results() -> dict[str, WrongResult]:
    """Every row by its key."""
    rows = tomllib.loads(files(__package__).joinpath("wrong_results.toml").read_text(encoding="utf-8"))
    return {
        key: WrongResult(
            key,
            (row["op"],) if isinstance(row["op"], str) else tuple(row["op"]),
            row["when"],
            version_of(row["since"]),
            version_of(row["seen"]),
            version_of(row["until"]) if "until" in row else None,
            row.get("always", False),
            row["says"],
            row["source"],
            row["code"],
        )
        for key, row in rows.items()
    }
