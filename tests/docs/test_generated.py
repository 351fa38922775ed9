"""What README shows of the code is what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("docs/all-rules.md", "docs/measured.md", "docs/reference/interface.md")


def test_readme_tables_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run: python docs/generate.py"


def test_every_generated_part_is_shown_once() -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", *SHOWN))
    for part in ("interface", "commands", "rules", "benchmarks"):
        assert text.count(f"<!-- generated: {part} -->") == text.count(f"<!-- end: {part} -->") == 1
