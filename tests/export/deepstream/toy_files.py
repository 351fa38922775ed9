"""Four toy files, and a reader of the settings that are written for them."""

from __future__ import annotations

from pathlib import Path

from tests.export import toy_networks


def read(text: str) -> dict[str, dict[str, str]]:
    """Sections of a two-level YAML text; keys above the first section are under ""."""
    sections: dict[str, dict[str, str]] = {"": {}}
    name = ""
    for line in text.splitlines()[1:]:
        line = line.split(" #")[0].rstrip()
        if not line or line.startswith("#"):
            continue
        key, _, value = line.strip().partition(":")
        if not line.startswith(" ") and not value:
            name = key
            sections[name] = {}
        else:
            sections[name if line.startswith(" ") else ""][key] = value.strip().strip('"')
    return sections


def toy(tmp_path: Path, batch: int | None = None) -> Path:
    (tmp_path / "files").mkdir(exist_ok=True)
    return toy_networks.write(tmp_path / "files", *([batch] if batch else []))
