"""Write docs/licences.md: the licence of every package that surgeon's own requirements bring, from installed metadata.

`python docs/licences.py` in an environment with all extras. Packages that are not installed are named as such.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).with_name("licences.md")
PROJECT = PAGE.parent.parent / "pyproject.toml"
TITLES = {"": "Base", "docs": "[docs], for building this site"}
LONGEST = 60


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return table


def groups() -> list[str]:
    """The base, "", and the extras that users install."""
    return ["", *(extra for extra in project()["optional-dependencies"] if extra != "dev")]


def stated(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for: the base for "", else what the extra adds."""
    texts = project()["optional-dependencies"][extra] if extra else project()["dependencies"]
    return [wanted for wanted in map(Requirement, texts) if wanted.marker is None or wanted.marker.evaluate()]


def requirements(name: str, extra: str) -> list[Requirement]:
    """What the installed package `name` asks for with `extra`, on this machine."""
    asked = map(Requirement, distribution(name).requires or ())
    return [wanted for wanted in asked if wanted.marker is None or wanted.marker.evaluate({"extra": extra})]


def closure(extra: str) -> set[str]:
    """Every package that asking for the base or an extra brings, directly or through another."""
    found: set[str] = set()
    todo = [(plain(one.name), tuple(one.extras)) for one in stated(extra)]
    while todo:
        name, extras = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            asked = [one for part in ("", *extras) for one in requirements(name, part)]
        except PackageNotFoundError:
            continue
        todo += [(plain(one.name), tuple(one.extras)) for one in asked]
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str:
    """The licence a package tells: its SPDX expression, else its classifiers, else the first line of the field."""
    try:
        told = distribution(name).metadata
    except PackageNotFoundError:
        return "not installed where this list was made"
    classifiers = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier", []) if c.startswith("License ::")]
    first = next(iter((told.get("License") or "").strip().splitlines()), "")
    named = [text for text in classifiers if text != "OSI Approved"]
    return told.get("License-Expression") or ", ".join(named) or first[:LONGEST] or "none stated"


def page() -> str:
    """The whole page."""
    parts = [
        "# Licences",
        "surgeon is under the Apache License 2.0. It installs beside the packages below and ships none of them.",
        "`docs/licences.py` made the list on Linux from what the installed packages state of themselves. "
        "Wheels may bundle libraries under further licences (av brings FFmpeg), whose texts are in the wheel. "
        "TensorRT is NVIDIA's, under its own licence agreement; without it, surgeon says what it could not check.",
    ]
    seen: set[str] = set()
    for extra in groups():
        names = sorted(closure(extra) - seen)
        seen |= set(names)
        rows = [f"| {name} | {licence(name).replace('|', '/')} |" for name in names]
        parts.append(
            f"## {TITLES.get(extra, f'[{extra}]')}\n\n" + "\n".join(["| package | licence |", "| --- | --- |", *rows])
        )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
