"""Every command block that a reader may copy works as printed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tests.docs.blocks import ROOT, first_missing, read_blocks, run_blocks

PAGES = ("README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md"))))
WITH_BLOCKS = [page for page in PAGES if read_blocks((ROOT / page).read_text(encoding="utf-8"))]


def _quick(page: str) -> bool:
    return any(not b.slow and not b.not_run for b in read_blocks((ROOT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if _quick(page)])
def test_quick_blocks_work_as_printed(page: str, tmp_path: Path) -> None:
    ran, left = run_blocks(ROOT / page, tmp_path, slow=False)
    print(f"{page}: {len(ran)} blocks ran; left out: {'; '.join(left) or 'none'}")


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_all_blocks_work_as_printed(page: str, tmp_path: Path) -> None:
    ran, left = run_blocks(ROOT / page, tmp_path, slow=True)
    print(f"{page}: {len(ran)} blocks ran; left out: {'; '.join(left) or 'none'}")


def test_no_block_that_is_run_starts_the_whole_gate() -> None:
    for page in WITH_BLOCKS:
        for block in read_blocks((ROOT / page).read_text(encoding="utf-8")):
            assert block.not_run or "tests/run.sh" not in block.text, (
                f"{page}:{block.line}: mark it <!-- not run: ... -->"
            )


def test_comments_before_a_block_are_read() -> None:
    page = "<!-- slow; exit 1 -->\n```bash\na\n```\n\n<!-- output -->\n```text\nb\n```\n```bash\nc\n```\n"
    first, second = read_blocks(page)
    assert (first.slow, first.exit_code, first.output, first.line) == (True, 1, "b\n", 3)
    assert (second.slow, second.exit_code, second.output, second.text) == (False, 0, "", "c\n")


def test_an_unknown_comment_is_refused() -> None:
    with pytest.raises(ValueError, match="slwo"):
        read_blocks("<!-- slwo -->\n```bash\na\n```\n")


def test_shown_output_is_compared_line_by_line() -> None:
    printed = "one 12 files\ntwo\nthree\n"
    assert first_missing("one 3 files\n...\nthree\n", printed) is None
    assert first_missing("two\none 3 files\n", printed) == "one 3 files"
