"""Who imports whom: read from the source files, drawn as SVG and written as a table.

`python docs/imports.py` prints the drawing. A frame is a package and a box one of its folders or modules. The rows of
`surgery` and `verify` are the layers of the import contracts in pyproject.toml, so that a box imports only boxes below
it. A line is at least one import, dashed when all of them are inside functions and happen only when these run.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("export", "surgery", "verify")
WIDTH, HEIGHT, GAP_X, GAP_Y, FRAME = 124, 46, 18, 26, 34

Edges = dict[tuple[str, str], Counter[str]]
Spot = tuple[float, float]


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of the three packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """The box a module is drawn in: `surgery.passes.ops.build` -> `surgery.passes`, `verify.errors` -> itself."""
    return "surgery.cli" if module == "surgery.__main__" else ".".join(module.split(".")[:2])


def imports(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[str, bool]]:
    """Names a file imports, and whether that happens inside a function; imports for type checkers are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((f"{node.module}.{alias.name}", lazy) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            yield from imports(node, lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def edges() -> Edges:
    """(box, box it imports from) -> how many imports are "eager" and how many "lazy"."""
    known = modules()
    found: Edges = {}
    for module, path in known.items():
        for name, lazy in imports(ast.parse(path.read_text(encoding="utf-8"))):
            target = name if name in known else name.rpartition(".")[0]
            pair = room(module), room(target)
            if target in known and pair[0] != pair[1]:
                found.setdefault(pair, Counter())["lazy" if lazy else "eager"] += 1
    return found


def rows(package: str, found: Edges) -> list[list[str]]:
    """The boxes of a package from above to below: layers of its contract, or as its imports put them."""
    names = sorted({room(module) for module in modules()} - set(PACKAGES))
    names = [name for name in names if name.startswith(f"{package}.")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next((each["layers"] for each in contracts if each.get("containers") == [package]), None)
    if layers is not None:
        listed = [[f"{package}.{name.strip()}" for name in layer.split("|")] for layer in layers]
        return [row for row in ([name for name in layer if name in names] for layer in listed) if row]
    place = dict.fromkeys(names, 0)
    for _ in names:
        for one, other in found:
            if one in place and other in place and found[one, other]["eager"]:
                place[other] = max(place[other], min(place[one] + 1, len(names)))
    return [[name for name in names if place[name] == row] for row in sorted(set(place.values()))]


def drawn(found: Edges, names: list[str]) -> Edges:
    """The edges between these boxes, without those that follow from two others."""
    inside = {pair: count for pair, count in found.items() if pair[0] in names and pair[1] in names}
    reach: dict[str, set[str]] = {name: set() for name in names}
    for _ in names:
        for one, other in inside:
            reach[one] |= {other} | reach[other]
    return {
        (one, other): count
        for (one, other), count in inside.items()
        if not any(other in reach[near] for a, near in inside if a == one and near != other)
    }


def sizes() -> dict[str, tuple[int, int]]:
    """Box -> number of files and of lines."""
    found: dict[str, tuple[int, int]] = {}
    for module, path in modules().items():
        files, lines = found.get(room(module), (0, 0))
        found[room(module)] = files + 1, lines + len(path.read_text(encoding="utf-8").splitlines())
    return found


def frame(table: list[list[str]], left: float, top: float, width: float, height: float) -> dict[str, Spot]:
    """Left upper corners of the boxes, in rows that fill the frame."""
    step = (height - FRAME - HEIGHT - GAP_Y / 2) / max(len(table) - 1, 1)
    spots = {}
    for index, row in enumerate(table):
        start = left + (width - len(row) * WIDTH - (len(row) - 1) * GAP_X) / 2
        shift = GAP_X * (0.9 if index % 2 else -0.9) if len(row) == 1 else 0
        for column, name in enumerate(row):
            spots[name] = start + shift + column * (WIDTH + GAP_X), top + FRAME + index * step
    return spots


def svg() -> str:
    """The drawing, in the text colour of the page around it."""
    found, measured = edges(), sizes()
    tables = {package: rows(package, found) for package in PACKAGES}
    widths = {p: (max(map(len, table)) + 0.6) * (WIDTH + GAP_X) for p, table in tables.items()}
    tall = max(len(tables["surgery"]), len(tables["verify"])) * (HEIGHT + GAP_Y) + FRAME
    short = len(tables["export"]) * (HEIGHT + GAP_Y) + FRAME
    gap = 60.0
    total = widths["surgery"] + gap + widths["verify"]
    frames = {
        "export": (0.0, 0.0, total, short),
        "surgery": (0.0, short + gap, widths["surgery"], tall),
        "verify": (widths["surgery"] + gap, short + gap, widths["verify"], tall),
    }
    parts = [
        f'<svg class="imports" viewBox="-4 -4 {total + 8:.0f} {short + gap + tall + 8:.0f}" role="img" '
        'aria-label="Which folder imports from which">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
    ]
    for package, (x, y, width, height) in frames.items():
        parts.append(
            f'<g class="{package}"><rect class="frame" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" rx="10"/><text class="title" x="{x + 14:.0f}" y="{y + 22:.0f}">{package}</text></g>'
        )
    parts += between(found, frames)
    for package, place in frames.items():
        spots = frame(tables[package], *place)
        rank = {name: index for index, row in enumerate(tables[package]) for name in row}
        for (one, other), count in sorted(drawn(found, list(spots)).items()):
            beside = rank[other] - rank[one] > 1 and abs(spots[one][0] - spots[other][0]) < WIDTH / 2
            parts.append(line(one, other, count, spots[one], spots[other], beside))
        parts += [box(name, spot, measured[name]) for name, spot in spots.items()]
    return "\n".join([*parts, "</svg>"])


def between(found: Edges, frames: dict[str, tuple[float, float, float, float]]) -> Iterator[str]:
    """One arrow for all imports from one package to another, with their number."""
    for one, other in (("export", "surgery"), ("export", "verify"), ("surgery", "verify")):
        count = sum(
            each.total() for (a, b), each in found.items() if a.split(".")[0] == one and b.split(".")[0] == other
        )
        x, y, width, height = frames[other]
        if one == "export":
            path = f"M{x + width / 2:.0f},{y - 60:.0f} V{y:.0f}"
            at = x + width / 2 + 12, y - 26
        else:
            path = f"M{x - 60:.0f},{y + height / 2:.0f} H{x:.0f}"
            at = x - 48, y + height / 2 - 10
        yield f'<path class="between" d="{path}" marker-end="url(#tip)"/>'
        yield f'<text class="count" x="{at[0]:.0f}" y="{at[1]:.0f}">{count}</text>'


def line(one: str, other: str, count: Counter[str], start: Spot, end: Spot, beside: bool) -> str:
    """Curve from the lower edge of a box to the upper edge of another, or beside the boxes in between."""
    (x0, y0), (x1, y1) = start, end
    kind = "eager" if count["eager"] else "lazy"
    title = escape(f"{one} → {other}: {count['eager']} imports at load, {count['lazy']} inside functions")
    if beside:
        x0, x1, y0, y1 = x0 + WIDTH, x1 + WIDTH, y0 + HEIGHT / 2, y1 + HEIGHT / 2
        bow = max(x0, x1) + 10 + (y1 - y0) / 12
        curve = f"M{x0:.0f},{y0:.0f} C{bow:.0f},{y0 + 30:.0f} {bow:.0f},{y1 - 30:.0f} {x1:.0f},{y1:.0f}"
        return f'<path class="{kind}" d="{curve}" marker-end="url(#tip)"><title>{title}</title></path>'
    across = (x1 - x0) / 6
    x0, x1 = x0 + WIDTH / 2 + across, x1 + WIDTH / 2 - across
    y0, y1 = (y0 + HEIGHT, y1) if y1 > y0 else (y0, y1 + HEIGHT)
    bend = (y1 - y0) / 2
    curve = f"M{x0:.0f},{y0:.0f} C{x0:.0f},{y0 + bend:.0f} {x1:.0f},{y1 - bend:.0f} {x1:.0f},{y1:.0f}"
    return f'<path class="{kind}" d="{curve}" marker-end="url(#tip)"><title>{title}</title></path>'


def box(name: str, spot: Spot, size: tuple[int, int]) -> str:
    (x, y), (files, lines) = spot, size
    middle = x + WIDTH / 2
    package, _, short = name.partition(".")
    text = f"{files} files, {lines} lines" if files > 1 else f"{lines} lines"
    return (
        f'<g class="{package}"><rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{middle:.0f}" y="{y + 20:.0f}">{escape(short)}</text>'
        f'<text class="small" x="{middle:.0f}" y="{y + 36:.0f}">{text}</text></g>'
    )


def table() -> str:
    """The same as Markdown: rows import from columns."""
    found = edges()
    names = sorted({name for pair in found for name in pair})
    lines = ["| imports from → | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for one in names:
        cells = [str(sum(found[one, other].values())) if (one, other) in found else "" for other in names]
        lines.append(f"| **{one}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(svg())
