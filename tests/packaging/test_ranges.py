"""constraints-lowest.txt and pyproject.toml say the same lower ends."""

from __future__ import annotations

import re
import sys
from itertools import chain
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def test_lowest_constraints_are_the_lower_ends() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    stated = chain(project["dependencies"], *(extras[name] for name in ("export", "trt", "video", "cluster", "docs")))
    lowest = {m[1]: m[2] for text in stated if (m := re.match(r"([\w-]+)>=([\d.]+)", text))}
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    for name, version in lowest.items():
        assert pinned[name].removesuffix(".*").startswith(version), name
