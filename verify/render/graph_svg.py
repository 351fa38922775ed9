"""The neighbourhood of a node as an inline SVG: nodes in layers from top to bottom, the refused one marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from verify.render.fill_template import fill

if TYPE_CHECKING:
    from markupsafe import Markup

CHAR, HEIGHT, GAP_X, GAP_Y, PAD = 7.4, 40, 36, 58, 14
LANE = 15  # height of a line of labels between two layers
LABEL_LIMIT = 44

Edge = Mapping[str, Any]


class Place(NamedTuple):
    """Where a node is drawn: centre and width of its box, its top, and its layer from 0."""

    middle: float
    top: float
    width: float
    layer: int


def graph_svg(graph: Mapping[str, Any], title: str) -> Markup:
    """`graph` as `Finding.details["neighbourhood"]` has it. The drawing's text equivalent is `graph_list`."""
    nodes = {str(node["id"]): node for node in graph["nodes"]}
    edges = [edge for edge in graph["edges"] if edge["from"] in nodes and edge["to"] in nodes]
    # A tensor with several readers gets one label.
    labelled = list({(edge["from"], edge["label"]): edge for edge in edges if edge.get("label")}.values())
    layers = _layers(list(nodes), edges)
    gaps = _gaps(layers, labelled)
    places, width, height = _layout(nodes, edges, layers, gaps)
    return fill(
        "graph.html",
        title=title,
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        arrows=[_arrow(places[edge["from"]], places[edge["to"]]) for edge in edges],
        boxes=[_box(node, places[name]) for name, node in nodes.items()],
        labels=_labels(labelled, places, gaps),
    )


def graph_list(graph: Mapping[str, Any]) -> Markup:
    """The same graph as an HTML list, one line for each edge, for readers who cannot see the drawing."""
    names = {str(node["id"]): str(node["label"]) for node in graph["nodes"]}
    ends = (f"{names.get(edge['from'], edge['from'])} → {names.get(edge['to'], edge['to'])}" for edge in graph["edges"])
    return fill("graph_list.html", edges=zip(ends, (edge.get("label") for edge in graph["edges"]), strict=True))


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Nodes by their longest path from a source; a cycle ends the search after as many rounds as there are nodes."""
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


def _gaps(layers: Sequence[Sequence[str]], labelled: Sequence[Edge]) -> list[float]:
    """Space below each layer: a line for each label of the edges that start there."""
    starts = Counter(edge["from"] for edge in labelled)
    return [max(float(GAP_Y), LANE * (sum(starts[name] for name in layer) + 1.0)) for layer in layers]


def _layout(
    nodes: Mapping[str, Any], edges: Sequence[Edge], layers: Sequence[list[str]], gaps: Sequence[float]
) -> tuple[dict[str, Place], float, float]:
    """The place of every node, and the size of the drawing."""
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
    places: dict[str, Place] = {}
    top = 8.0
    for row, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        left = (total - span) / 2
        for name in layer:
            places[name] = Place(left + widths[name] / 2, top, widths[name], row)
            left += widths[name] + GAP_X
        top += HEIGHT + gaps[row]
    return places, total, top - gaps[-1] + 8 if layers else 16


def _short(label: str) -> str:
    half = LABEL_LIMIT // 2
    return label if len(label) <= LABEL_LIMIT else f"{label[: half - 1]}…{label[-half:]}"


def _box(node: Mapping[str, Any], place: Place) -> dict[str, Any]:
    label, refused = str(node["label"]), bool(node.get("refused"))
    baseline = place.top + HEIGHT / 2
    lines = [{"text": _short(label), "y": baseline + (-3 if refused else 4), "style": ""}]
    if refused:
        lines.append({"text": "refused", "y": baseline + 12, "style": "refused-text"})
    return {
        **place._asdict(),
        "left": place.middle - place.width / 2,
        "height": HEIGHT,
        "label": label,
        "refused": refused,
        "lines": lines,
    }


def _arrow(start: Place, end: Place) -> dict[str, str]:
    x1, y1, x2, y2 = start.middle, start.top + HEIGHT, end.middle, end.top
    bend = (y2 - y1) / 2
    return {
        "curve": f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2 - 6:.1f}",
        "head": f"M{x2 - 4:.1f} {y2 - 8:.1f}L{x2 + 4:.1f} {y2 - 8:.1f}L{x2:.1f} {y2:.1f}Z",
    }


def _labels(labelled: Sequence[Edge], places: Mapping[str, Place], gaps: Sequence[float]) -> list[dict[str, Any]]:
    """Each label on its edge, below the edge's source: in the line nearest the middle where it covers no other."""
    taken: dict[tuple[int, int], list[tuple[float, float]]] = {}
    labels = []
    for edge in labelled:
        start, end = places[edge["from"]], places[edge["to"]]
        top, text = start.top + HEIGHT, str(edge["label"])
        reach = len(text) * CHAR / 2
        lines = range(1, int(gaps[start.layer] // LANE) + 1)
        for line in sorted(lines, key=lambda line: abs(line - (len(lines) + 1) / 2)):
            y = top + LANE * line
            share = min((y - top) / (end.top - top), 1.0) if end.top > top else 0.0
            x = start.middle + (end.middle - start.middle) * share
            spans = taken.setdefault((start.layer, line), [])
            if all(x + reach < left or right < x - reach for left, right in spans):
                spans.append((x - reach, x + reach))
                labels.append(
                    {"text": text, "x": x, "y": y, "left": x - reach, "top": y - LANE + 4, "width": 2 * reach}
                )
                break
    return labels
