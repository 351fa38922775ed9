"""One or two engines that trtexec built on another machine, as tables and as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from verify.device.results.layers import Engine, Layer, by_module, by_node

if TYPE_CHECKING:
    from rich.console import RenderableType

SLOWEST = 10
NODES_SHOWN = 4


def slowest(engine: Engine) -> list[Layer]:
    """The ten layers that take longest, or none without a profile."""
    timed = [layer for layer in engine.layers if layer.milliseconds is not None]
    return sorted(timed, key=lambda layer: -(layer.milliseconds or 0.0))[:SLOWEST]


def unmapped(engine: Engine) -> list[Layer]:
    """Layers of which no ONNX node is known: copies, what the builder added, and kernels without metadata."""
    return [layer for layer in engine.layers if not layer.nodes]


def as_data(engine: Engine, modules: Mapping[str, str]) -> dict[str, Any]:
    """JSON types only."""
    return {
        **asdict(engine),
        "milliseconds": engine.milliseconds,
        "by_node": by_node(engine),
        "by_module": by_module(engine, modules),
        "slowest": [layer.name for layer in slowest(engine)],
        "unmapped": [layer.name for layer in unmapped(engine)],
    }


def figures(engine: Engine) -> list[tuple[str, str]]:
    """Label and value of each row of the table."""
    kinds = Counter(layer.kind for layer in engine.layers).most_common()
    precisions = Counter(layer.precision for layer in engine.layers).most_common()
    fused = sum(len(layer.nodes) > 1 for layer in engine.layers)
    none = unmapped(engine)
    rows = [("layers", str(len(engine.layers)))]
    if engine.detailed:
        rows += [(f"  {kind}", str(count)) for kind, count in kinds]
        rows += [(f"  writes {name}", str(count)) for name, count in precisions]
    rows += [
        ("layers of several ONNX nodes", str(fused)),
        ("layers without ONNX node", f"{len(none)}{_of_time(engine, none)}"),
        ("ONNX nodes in no layer", f"{engine.unnamed_nodes} of {engine.node_count}"),
    ]
    if engine.milliseconds is not None:
        rows.append(("sum of layers", f"{engine.milliseconds:.4g} ms"))
    if engine.times is not None:
        times = engine.times
        rows += [
            ("GPU compute, median", f"{times.compute_median:.4g} ms ({times.queries} queries)"),
            ("GPU compute, 99 %", f"{times.compute_99:.4g} ms"),
            ("latency, median", f"{times.latency_median:.4g} ms"),
        ]
    return rows


def _of_time(engine: Engine, layers: Iterable[Layer]) -> str:
    if not engine.milliseconds:
        return ""
    return f", {sum(layer.milliseconds or 0.0 for layer in layers) / engine.milliseconds:.1%} of the time"


def notes(engine: Engine) -> list[str]:
    """What the tables cannot show of this engine, a sentence each."""
    found = []
    if not engine.detailed:
        found.append("built without --profilingVerbosity=detailed: layers have names only, and few can be mapped")
    if any(layer.how == "between" for layer in engine.layers):
        found.append("a fused region counts as all nodes between the first and the last of its name, which is a guess")
    if engine.unmatched:
        found.append(f"{engine.unmatched} rows of the profile belong to no layer; is the profile from another run?")
    if engine.milliseconds is not None:
        found.append("the time of a layer is divided equally among its nodes")
    return found


def tables(engines: Sequence[Engine], modules: Mapping[str, str]) -> list[RenderableType]:
    """The figures side by side; of the first engine the slowest layers, nodes and modules; then what changed."""
    from rich.table import Table

    head = Table("", *(engine.judge for engine in engines), title="Engine, as trtexec wrote it")
    columns = [dict(figures(engine)) for engine in engines]
    for label in dict.fromkeys(label for column in columns for label in column):
        head.add_row(label, *(column.get(label, "") for column in columns))
    first = engines[0]
    parts: list[RenderableType] = [head]
    for engine in engines:
        parts += [f"{engine.source}: {note}" for note in notes(engine)]
    if first.milliseconds is not None:
        parts += [_slowest(first), _largest("ONNX node", by_node(first), first.milliseconds)]
        if modules and by_module(first, modules):
            parts.append(_largest("torch module", by_module(first, modules), first.milliseconds))
    elif first.detailed:
        parts.append("no times: give the profile of the same run with --profile profile.json")
    if len(engines) > 1 and all(engine.milliseconds is not None for engine in engines):
        parts.append(_changes(by_node(first), by_node(engines[1])))
    return parts


def whole(name: str) -> RenderableType:
    """A name as it stands: no part of it is markup, and a narrow column breaks it instead of cutting it short."""
    from rich.text import Text

    return Text(name, overflow="fold")


def _slowest(engine: Engine) -> RenderableType:
    from rich.table import Table

    table = Table("slowest layers", "kind", "writes", "ms", "share", "ONNX nodes")
    for layer in slowest(engine):
        spent = layer.milliseconds or 0.0
        more = f" and {len(layer.nodes) - NODES_SHOWN} more" if len(layer.nodes) > NODES_SHOWN else ""
        nodes = ", ".join(layer.nodes[:NODES_SHOWN]) + more or "none known"
        share = f"{spent / (engine.milliseconds or 1.0):.1%}"
        table.add_row(whole(layer.name), layer.kind, layer.precision, f"{spent:.4g}", share, whole(nodes))
    return table


def _largest(title: str, spent: Mapping[str, float], total: float) -> RenderableType:
    from rich.table import Table

    table = Table(f"slowest by {title}", "ms", "share")
    for name, value in sorted(spent.items(), key=lambda item: -item[1])[:SLOWEST]:
        table.add_row(whole(name), f"{value:.4g}", f"{value / (total or 1.0):.1%}")
    return table


def _changes(left: Mapping[str, float], right: Mapping[str, float]) -> RenderableType:
    """The nodes whose time changed most from the first engine to the second."""
    from rich.table import Table

    table = Table("largest changes by ONNX node", "first, ms", "second, ms", "change, ms")
    names = dict.fromkeys([*left, *right])
    for name in sorted(names, key=lambda n: -abs(right.get(n, 0.0) - left.get(n, 0.0)))[:SLOWEST]:
        before, after = left.get(name, 0.0), right.get(name, 0.0)
        table.add_row(whole(name), f"{before:.4g}", f"{after:.4g}", f"{after - before:+.4g}")
    return table
