"""The HTML page: self-contained, readable without colour or sight, safe with hostile names, and right in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from tests.verify.render.report_samples import HOSTILE, NEIGHBOURHOOD, RULES, hostile, sample
from verify.errors import SurgeonError
from verify.render import write_html
from verify.render.graph_svg import graph_svg
from verify.render.page import to_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Tags with their attributes, and whether every one that was opened was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(reports: object = None) -> str:
    return to_html(sample() if reports is None else hostile(), title="Diagnosis", rules=RULES)


def test_page_needs_no_network_and_no_script() -> None:
    for html in (page(), page("hostile")):
        outline = Outline(html)
        assert outline.open == []
        assert not outline.all("script")
        assert not outline.all("link")
        assert not outline.all("img")
        assert not any("src" in attrs for _, attrs in outline.tags)
        assert not any(name.startswith("on") for _, attrs in outline.tags for name in attrs)
        assert all((attrs["href"] or "").startswith("#") for attrs in outline.all("a"))
        assert "url(" not in html
        assert "@import" not in html


def test_page_has_landmarks_headings_captions_and_names() -> None:
    outline = Outline(page())
    assert [len(outline.all(tag)) for tag in ("header", "main", "footer", "nav", "h1")] == [1, 1, 1, 1, 1]
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all("scope" in attrs for attrs in outline.all("th"))
    assert all(attrs.get("role") == "img" for attrs in outline.all("svg"))
    assert page().count("<svg") <= page().count("</title>")
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(below - above <= 1 for above, below in pairwise(levels))
    regions = [attrs for _, attrs in outline.tags if attrs.get("role") == "region"]
    assert regions
    assert all(attrs.get("aria-label") and attrs.get("tabindex") == "0" for attrs in regions)
    identifiers = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(set(identifiers)) == len(identifiers)


def test_page_shows_both_colour_schemes_focus_and_words_for_status() -> None:
    html = page()
    assert "prefers-color-scheme: dark" in html
    assert ":focus-visible" in html
    for word in ("FAIL", "pass", "skipped", "refused", "surgeon fix repairs it", "TensorRT-RTX only"):
        assert word in html


def test_page_escapes_hostile_names_everywhere() -> None:
    html = to_html(hostile(), title=HOSTILE, rules={})
    assert "<script" not in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_drawing_has_every_node_and_survives_a_cycle() -> None:
    svg = graph_svg(NEIGHBOURHOOD, "t")
    assert svg.count('<rect class="box') == len(NEIGHBOURHOOD["nodes"])
    assert svg.count('class="edge"') == len(NEIGHBOURHOOD["edges"])
    loop = {"nodes": [{"id": "a", "label": "a"}, {"id": "b", "label": "b"}]}
    edges = [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}]
    assert graph_svg({**loop, "edges": edges}, "t").count("<rect") == 2


def test_page_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="cannot be written"):
        write_html(sample(), tmp_path / "missing" / "page.html", title="t")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("which", ["sample", "hostile"])
@pytest.mark.parametrize("width", [500, 1280])
def test_browser_lays_the_page_out_within_the_window(tmp_path: Path, which: str, width: int) -> None:
    """In headless Chromium: no alert ran, nothing sticks out sideways, boxes that scroll can be reached with Tab."""
    probe = """<script>addEventListener('load', () => { document.title = JSON.stringify([
      document.documentElement.scrollWidth <= innerWidth, document.scripts.length,
      [...document.querySelectorAll('[role=region]')].every(e => e.tabIndex === 0),
      [...document.querySelectorAll('svg')].every(e => e.getBoundingClientRect().height > 50)]) })</script></head>"""
    html = re.sub(r"<meta http-equiv[^>]*>", "", page(None if which == "sample" else which)).replace("</head>", probe)
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8", errors="replace")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    title = re.search(r"<title>(.*?)</title>", result.stdout)
    assert title is not None
    assert title[1] == "[true,1,true,true]"
