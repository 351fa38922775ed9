"""What the site adds to the pages in docs: the drawing of the imports and the changelog.

mkdocs calls `on_files` and `on_page_markdown`.
"""

from __future__ import annotations

import re
from typing import Any

import imports
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Add the changelog, which stands outside of docs."""
    text = (imports.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changelog.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put the drawing and the table of imports in the place of the comments that ask for them."""
    made = {"imports": imports.svg, "imports_table": imports.table}
    return re.sub(r"<!-- (imports|imports_table) -->", lambda found: made[found[1]](), markdown)
