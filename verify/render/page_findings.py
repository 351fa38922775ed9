"""The findings of the HTML page: one card each for errors, warnings grouped, with the drawing of the neighbourhood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from verify.render.data import finding_data, plain
from verify.render.graph_svg import graph_list, graph_svg
from verify.render.page_parts import scrolling
from verify.render.rule_text import RuleText
from verify.render.text import group_findings, headline, place, port_text
from verify.report import Finding

DRAWINGS = 40


def findings_html(findings: Sequence[Finding], anchor: str, rules: Mapping[str, RuleText]) -> str:
    """Every finding; those that say the same of several nodes share a card that lists all the nodes."""
    if not findings:
        return ""
    cards = "".join(_card(group, f"{anchor}-f{index}", rules) for index, group in enumerate(group_findings(findings)))
    return f"<h3>Findings</h3>{cards}"


def _card(group: Sequence[Finding], anchor: str, rules: Mapping[str, RuleText]) -> str:
    data = [finding_data(finding) for finding in group]
    first = data[0]
    tags = ["surgeon fix mends it"] if first["fixable"] else []
    tags += ["TensorRT-RTX only"] if first["details"].get("rtx_only") else []
    tag_html = "".join(f' <span class="tag">{tag}</span>' for tag in tags)
    operator = f"<code>{escape(first['op'])}</code> " if first["op"] else ""
    parts = [
        f'<article class="is-{first["severity"]}" aria-labelledby="{anchor}"><h4 id="{anchor}">'
        f'<span class="mark {first["severity"]}">{first["severity"]}</span> {escape(first["code"])} '
        f"{operator}{escape(plain(headline(group)))}{tag_html}</h4><dl>{_rows(data)}</dl>",
        *_drawings(data),
        _rule(rules.get(first["code"]), first["code"]),
    ]
    return "".join([*parts, "</article>"])


def _rows(data: Sequence[Mapping[str, Any]]) -> str:
    first, details = data[0], data[0]["details"]
    names = [place(item["path"], item["node"]) for item in data]
    rows = [("node" if len(data) == 1 else f"{len(data)} nodes", "\n".join(name for name in names if name))]
    if len(data) == 1:
        rows += [
            (label, "\n".join(port_text(port) for port in details.get(key, ())))
            for label, key in (("inputs", "inputs"), ("outputs", "outputs"))
        ]
        rows.append(("with", "\n".join(details.get("together_with", ()))))
    rows.append(("from", "\n".join(dict.fromkeys(item["where"] for item in data if item["where"]))))
    html = "".join(f"<dt>{label}</dt><dd><pre>{escape(body)}</pre></dd>" for label, body in rows if body)
    texts = (("why", first["why"]), ("do", first["advice"]))
    html += "".join(f"<dt>{label}</dt><dd>{escape(body)}</dd>" for label, body in texts if body)
    if details.get("flags"):
        html += f"<dt>flags</dt><dd><pre>{escape(chr(10).join(details['flags']))}</pre></dd>"
    if details.get("says"):
        html += f"<dt>says</dt><dd><pre>{escape(str(details['says']))}</pre></dd>"
    return html


def _drawings(data: Sequence[Mapping[str, Any]]) -> list[str]:
    """The neighbourhood of each node of the card; those after the first behind a fold."""
    drawn = [(item["node"], drawing) for item in data[:DRAWINGS] if (drawing := _drawing(item))]
    folded = [
        f"<details><summary>Neighbourhood of {escape(node)}</summary>{drawing}</details>" for node, drawing in drawn[1:]
    ]
    return [drawing for _, drawing in drawn[:1]] + folded


def _drawing(data: Mapping[str, Any]) -> str:
    graph = data["details"].get("neighbourhood")
    if not graph or not graph["nodes"]:
        return ""
    title = f"Neighbourhood of {data['node'] or data['op']}"
    caption = f"<figcaption>{escape(title)}</figcaption>"
    text = f"<details><summary>the same as a list</summary>{graph_list(graph)}</details>"
    return f"<figure>{caption}{scrolling(graph_svg(graph, title), title)}{text}</figure>"


def _rule(rule: RuleText | None, code: str) -> str:
    if rule is None:
        return ""
    sections = "".join(f"<dt>{escape(heading)}</dt><dd>{escape(body)}</dd>" for heading, body in rule.sections.items())
    title = escape(rule.title)
    return f"<details><summary>About {escape(code)}</summary><p>{title}</p><dl>{sections}</dl></details>"
