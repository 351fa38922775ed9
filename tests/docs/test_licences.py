"""docs/licences.md lists what the base and every extra that users install bring."""

from __future__ import annotations

import re

from docs import licences


def test_every_extra_has_its_packages_on_the_page() -> None:
    page = licences.PAGE.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].partition(",")[0]: part for part in page.split("\n## ")[1:]}
    for extra in licences.groups():
        title = f"[{extra}]" if extra else "Base"
        assert title in sections, f"run docs/licences.py: no section {title}"
        for wanted in licences.stated(extra):
            row = rf"^\| {re.escape(licences.plain(wanted.name))} \| \S"
            assert re.search(row, page, re.MULTILINE), f"run docs/licences.py: {wanted.name} is missing"
