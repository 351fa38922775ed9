"""Who imports whom: read from the source files, drawn as SVG and written as a table.

`python docs/imports.py` prints the drawing. A box is a folder of modules; a line is at least one import, dashed when
every one of them is inside a function and so happens only when that function runs.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("export", "surgery", "verify")
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 150, 54, 40, 62

Edges = dict[tuple[str, str], Counter[str]]


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of the three packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def folder(module: str, known: dict[str, Path]) -> str:
    """The folder a module is drawn in: `surgery.cli.fix` -> `surgery.cli`, `surgery.files.model_file` -> `surgery`."""
    if module.endswith("__main__"):
        return f"{module.partition('.')[0]}.cli"
    return ".".join(known[module].relative_to(ROOT).parts[:-1])


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
    """(folder, folder it imports from) -> how many imports are "eager" and how many "lazy"."""
    known = modules()
    found: Edges = {}
    for module, path in known.items():
        for name, lazy in imports(ast.parse(path.read_text(encoding="utf-8"))):
            target = name if name in known else name.rpartition(".")[0]
            if target not in known:
                continue
            pair = folder(module, known), folder(target, known)
            if pair[0] != pair[1]:
                found.setdefault(pair, Counter())["lazy" if lazy else "eager"] += 1
    return found


def levels(found: Edges, names: list[str]) -> dict[str, int]:
    """Row of each folder: below everything that imports it. Of two that import each other the one imported less often
    stands above."""
    down = [pair for pair, count in found.items() if count.total() > found.get(pair[::-1], Counter()).total()]
    rows = dict.fromkeys(names, 0)
    for _ in names:
        for one, other in down:
            rows[other] = max(rows[other], rows[one] + 1)
    return rows


def drawn(found: Edges, rows: dict[str, int]) -> Edges:
    """The edges without those that follow from two or more others going down; each that goes up stays."""
    below = {name: {b for a, b in found if a == name and rows[b] > rows[a]} for name in rows}
    reach = {name: set(below[name]) for name in rows}
    for name in sorted(rows, key=lambda one: -rows[one]):
        reach[name] |= {far for near in below[name] for far in reach[near]}
    return {
        (one, other): count
        for (one, other), count in found.items()
        if rows[other] <= rows[one] or not any(other in reach[near] for near in below[one])
    }


def sizes() -> dict[str, tuple[int, int]]:
    """Folder -> number of files and of lines."""
    known = modules()
    found: dict[str, tuple[int, int]] = {}
    for module, path in known.items():
        files, lines = found.get(folder(module, known), (0, 0))
        found[folder(module, known)] = files + 1, lines + len(path.read_text(encoding="utf-8").splitlines())
    return found


def places(rows: dict[str, int]) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Left upper corner of every box, and width and height of the whole."""
    by_row: dict[int, list[str]] = {}
    for name in sorted(rows):
        by_row.setdefault(rows[name], []).append(name)
    width = max(len(row) for row in by_row.values()) * (BOX_WIDTH + GAP_X) + 2 * GAP_X
    found = {}
    for index, row in enumerate(by_row[key] for key in sorted(by_row)):
        left = (width - len(row) * BOX_WIDTH - (len(row) - 1) * GAP_X) / 2
        shift = GAP_X * 0.8 * (-1) ** index if len(row) == 1 else 0
        for column, name in enumerate(row):
            found[name] = left + shift + column * (BOX_WIDTH + GAP_X), 10 + index * (BOX_HEIGHT + GAP_Y)
    return found, width, len(by_row) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 20


def line(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Path of a curve from one box to another, from its lower edge when that lies above."""
    (x0, y0), (x1, y1) = start, end
    across = (x1 - x0) / 6 + (8 if y1 < y0 else -8)
    x0, x1 = x0 + BOX_WIDTH / 2 + across, x1 + BOX_WIDTH / 2 - across + (16 if y1 < y0 else -16)
    y0, y1 = (y0 + BOX_HEIGHT, y1) if y1 > y0 else (y0, y1 + BOX_HEIGHT)
    bend = (y1 - y0) / 2
    return f"M{x0:.0f},{y0:.0f} C{x0:.0f},{y0 + bend:.0f} {x1:.0f},{y1 - bend:.0f} {x1:.0f},{y1:.0f}"


def svg() -> str:
    """The drawing, in the text colour of the page around it."""
    found, measured = edges(), sizes()
    rows = levels(found, sorted(measured))
    spots, width, height = places(rows)
    parts = [
        f'<svg class="imports" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        'aria-label="Which folder imports from which">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
    ]
    for (one, other), count in sorted(drawn(found, rows).items()):
        kind = "eager" if count["eager"] else "lazy"
        title = f"{one} → {other}: {count['eager']} imports at load, {count['lazy']} inside functions"
        path = line(spots[one], spots[other])
        parts.append(f'<path class="{kind}" d="{path}" marker-end="url(#tip)"><title>{escape(title)}</title></path>')
    for name, (x, y) in spots.items():
        files, lines = measured[name]
        middle = x + BOX_WIDTH / 2
        parts.append(
            f'<g class="{name.split(".")[0]}"><rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
            f'rx="6"/><text x="{middle:.0f}" y="{y + 23:.0f}">{escape(name.replace(".", "/"))}</text>'
            f'<text class="small" x="{middle:.0f}" y="{y + 41:.0f}">{files} files, {lines} lines</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def table() -> str:
    """The same as Markdown: rows import from columns."""
    found = edges()
    names = sorted({name for pair in found for name in pair})
    rows = ["| imports from → | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for one in names:
        cells = [str(sum(found[one, other].values())) if (one, other) in found else "" for other in names]
        rows.append(f"| **{one}** | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(svg())
