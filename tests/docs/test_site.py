"""The documentation site builds without a warning, links lead somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("material") is None, reason="the extra [docs] is not installed"
)


class Links(HTMLParser):
    """Targets of links, and what a browser would load, of one page; and the anchors it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "preload", "icon"):
            self.loads.append(given.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_rule_has_a_place_of_its_own(site: Path) -> None:
    from surgery.diagnose.rules import rule_texts

    headings = [id for path in (site / "reference" / "rules").glob("*.html") for id in Links(path).anchors]
    for code, text in rule_texts().items():
        assert headings.count(f"{code.lower()}-{text.name}") == 1, code


def test_no_internal_link_is_dead(site: Path) -> None:
    pages = {path: Links(path) for path in site.rglob("*.html")}
    dead = []
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (parts.fragment and parts.fragment not in pages[target].anchors | {"__top"}):
                dead.append(f"{page.relative_to(site)}: {link}")
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = {load for page in site.rglob("*.html") for load in Links(page).loads}
    assert loads
    assert not {load for load in loads if re.match(r"(https?:)?//", load)}


def test_no_made_page_is_empty(site: Path) -> None:
    for name in ("reference/commands", "reference/spec", "reference/interface", "architecture"):
        assert len((site / f"{name}.html").read_text(encoding="utf-8").split("<article")[1]) > 2000, name
    assert "<svg class=" in (site / "architecture.html").read_text(encoding="utf-8")
