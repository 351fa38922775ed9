"""The neighbourhood of a node as an inline SVG: nodes in layers from the top down, the refused one marked in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

CHAR, HEIGHT, GAP_X, GAP_Y, PAD = 7.4, 40, 36, 58, 14
LABEL_LIMIT = 44


def graph_svg(graph: Mapping[str, Any], title: str) -> str:
    """`graph` as `Finding.details["neighbourhood"]` has it. The drawing's text equivalent is `graph_list`."""
    nodes = {str(node["id"]): node for node in graph["nodes"]}
    edges = [edge for edge in graph["edges"] if edge["from"] in nodes and edge["to"] in nodes]
    places, width, height = _layout(nodes, edges)
    parts = [
        f'<svg role="img" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<title>{escape(title)}</title>"
    ]
    parts += [_edge(edge, places) for edge in edges]
    parts += [_node(nodes[name], *places[name]) for name in nodes]
    # One tensor that goes to several readers is named once.
    labelled = list({(edge["from"], edge.get("label")): edge for edge in edges}.values())
    parts += [_edge_label(edge, places, index) for index, edge in enumerate(labelled)]
    return "".join([*parts, "</svg>"])


def graph_list(graph: Mapping[str, Any]) -> str:
    """The same graph as an HTML list, one line an edge, for those who do not see the drawing."""
    labels = {str(node["id"]): str(node["label"]) for node in graph["nodes"]}
    items = []
    for edge in graph["edges"]:
        ends = f"{labels.get(edge['from'], edge['from'])} → {labels.get(edge['to'], edge['to'])}"
        items.append(f"<li>{escape(ends)}{escape(': ' + edge['label']) if edge.get('label') else ''}</li>")
    return f"<ul>{''.join(items)}</ul>"


def _layers(names: Sequence[str], edges: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Longest path from a source; a cycle stops the walk after as many rounds as there are nodes."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for edge in edges:
            wanted = depth[edge["from"]] + 1
            if depth[edge["to"]] < wanted <= len(names):
                depth[edge["to"]] = wanted
                moved = True
        if not moved:
            break
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    return [layer for layer in layers if layer]


def _layout(
    nodes: Mapping[str, Any], edges: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, tuple[float, float, float]], float, float]:
    """Centre x, top y and width of every node, and the size of the drawing."""
    layers = _layers(list(nodes), edges)
    position: dict[str, float] = {}
    for layer in layers:
        parents = {
            name: [position[edge["from"]] for edge in edges if edge["to"] == name and edge["from"] in position]
            for name in layer
        }
        layer.sort(key=lambda name: sum(parents[name]) / len(parents[name]) if parents[name] else 0.5)
        position.update({name: (index + 0.5) / len(layer) for index, name in enumerate(layer)})
    widths = {name: max(72.0, len(_short(node["label"])) * CHAR + 2 * PAD) for name, node in nodes.items()}
    spans = [sum(widths[name] for name in layer) + GAP_X * (len(layer) - 1) for layer in layers]
    margin = max((len(str(edge.get("label", ""))) for edge in edges), default=0) * CHAR / 2 + 8
    total = max([*spans, 200.0]) + 2 * margin
    places: dict[str, tuple[float, float, float]] = {}
    for row, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        left = (total - span) / 2
        for name in layer:
            places[name] = (left + widths[name] / 2, 8 + row * (HEIGHT + GAP_Y), widths[name])
            left += widths[name] + GAP_X
    return places, total, 16 + len(layers) * HEIGHT + (len(layers) - 1) * GAP_Y


def _short(label: str) -> str:
    half = LABEL_LIMIT // 2
    return label if len(label) <= LABEL_LIMIT else f"{label[: half - 1]}…{label[-half:]}"


def _node(node: Mapping[str, Any], x: float, y: float, width: float) -> str:
    refused = bool(node.get("refused"))
    lines = [(_short(str(node["label"])), "")]
    if refused:
        lines.append(("refused", " refused-text"))
    top = y + HEIGHT / 2 + (4 if len(lines) == 1 else -3)
    text = "".join(
        f'<text class="{style.strip()}" x="{x:.1f}" y="{top + 15 * row:.1f}" text-anchor="middle">{escape(line)}</text>'
        for row, (line, style) in enumerate(lines)
    )
    box = f'<rect class="box{" refused" if refused else ""}" x="{x - width / 2:.1f}" y="{y}" width="{width:.1f}"'
    return f'<g><title>{escape(str(node["label"]))}</title>{box} height="{HEIGHT}" rx="6"/>{text}</g>'


def _ends(edge: Mapping[str, Any], places: Mapping[str, tuple[float, float, float]]) -> tuple[float, ...]:
    x1, y1, _ = places[edge["from"]]
    x2, y2, _ = places[edge["to"]]
    return x1, y1 + HEIGHT, x2, y2


def _edge(edge: Mapping[str, Any], places: Mapping[str, tuple[float, float, float]]) -> str:
    x1, y1, x2, y2 = _ends(edge, places)
    bend = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2 - 6:.1f}"
    head = f"M{x2 - 4:.1f} {y2 - 8:.1f}L{x2 + 4:.1f} {y2 - 8:.1f}L{x2:.1f} {y2:.1f}Z"
    return f'<path class="edge" d="{path}"/><path class="head" d="{head}"/>'


def _edge_label(edge: Mapping[str, Any], places: Mapping[str, tuple[float, float, float]], index: int) -> str:
    if not edge.get("label"):
        return ""
    x1, y1, x2, y2 = _ends(edge, places)
    # Labels of neighbouring edges stand at different heights so that they do not cover one another.
    share = (0.3, 0.52, 0.74)[index % 3]
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share + 4
    text = f'<text class="soft halo" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">'
    return f"{text}{escape(str(edge['label']))}</text>"
