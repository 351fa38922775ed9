"""One or two builds as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from verify.report import Check, Report, counted
from verify.tensorrt.compile import Compiled

if TYPE_CHECKING:
    from rich.console import RenderableType


def as_data(compiled: Compiled, *, timed: bool = True) -> dict[str, Any]:
    """JSON types only; without `seconds` the same for each build of the same file."""
    data = asdict(compiled)
    data["fused"] = compiled.fused
    data["profiles"] = {name: [list(point) for point in points] for name, points in compiled.profiles.items()}
    data["attentions"] = [
        {"name": found.name, "fused": found.fused, "why": found.why, **asdict(found.attention)}
        for found in compiled.attentions
    ]
    data["largest"] = [
        dict(zip(("source", "dims", "type", "bytes"), row, strict=True)) for row in map(list, compiled.largest)
    ]
    if not timed:
        del data["seconds"]
    return data


def megabytes(count: int) -> str:
    """Bytes as megabytes with one decimal."""
    return f"{count / 1e6:.1f} MB"


def figures(compiled: Compiled) -> list[tuple[str, str]]:
    """Label and value of each row of the table."""
    rows = [
        ("GPU", compiled.capability),
        ("kernels", str(compiled.kernels)),
        *((f"  {kind}", str(count)) for kind, count in compiled.kinds.items()),
        *((f"  in {precision}", str(count)) for precision, count in compiled.precisions.items()),
        ("attention fused", f"{compiled.fused} of {len(compiled.attentions)}"),
        ("scratch", megabytes(compiled.scratch)),
        ("weights", megabytes(compiled.weights)),
        ("engine", megabytes(compiled.engine)),
        ("seconds", f"{compiled.seconds:.1f}"),
    ]
    return rows if compiled.ok else [("GPU", compiled.capability), ("built", "no")]


def as_report(builds: Sequence[Compiled]) -> Report:
    """The first build's model with one check that holds the figures of all builds, for the HTML page."""
    first = builds[0]
    messages = [f"{build.model}: {message}" for build in builds for message in _messages(build)]
    status: Literal["pass", "fail"] = "pass" if all(build.ok for build in builds) else "fail"
    said = f"{counted(first.kernels, 'kernel')}, {first.fused} of {len(first.attentions)} attentions fused, "
    said += f"{megabytes(first.scratch)} scratch, {megabytes(first.weights)} weights"
    shown = [{**as_data(build), "figures": figures(build)} for build in builds]
    check = Check(f"build with {first.backend}", status, "; ".join(messages) or said, {"builds": shown})
    return Report(first.model, [check])


def tables(builds: Sequence[Compiled]) -> list[RenderableType]:
    """The figures of all builds side by side, then for each build its attentions and its largest tensors."""
    from rich.table import Table

    head = Table("", *(build.model for build in builds))
    columns = [dict(figures(build)) for build in builds]
    for label in dict.fromkeys(label for build in builds for label, _ in figures(build)):
        head.add_row(label, *(column.get(label, "") for column in columns))
    parts: list[RenderableType] = [f"TensorRT build ({builds[0].backend})", head]
    for build in builds:
        parts += [f"{build.model}: {message}" for message in _messages(build)]
        parts += _details(build)
    return parts


def _messages(build: Compiled) -> tuple[str, ...]:
    """What the builder said, and the sizes that were guessed."""
    if not build.guessed:
        return build.messages
    tried = " ".join(
        f"{option} {name}:{'x'.join(map(str, point))}"
        for name, points in build.profiles.items()
        for option, point in zip(("--min-shape", "--input-shape", "--max-shape"), points, strict=True)
    )
    return (*build.messages, f"the sizes were guessed, give those you mean: {tried}")


def _details(build: Compiled) -> Iterable[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    if build.attentions:
        table = Table("attention", "heads", "queries", "keys", "width", "fused", title=build.model)
        for found in build.attentions:
            a = found.attention
            width = f"{a.key_width}" if a.key_width == a.value_width else f"{a.key_width}/{a.value_width}"
            sizes = (str(size or "?") for size in (a.heads, a.queries, a.keys))
            table.add_row(
                Text(found.name, overflow="fold"),
                *sizes,
                width if a.key_width else "?",
                "yes" if found.fused else found.why,
            )
        yield table
    if build.largest:
        table = Table("largest tensors, by the node that makes them", "shape", "type", "size", title=build.model)
        for source, dims, dtype, size in build.largest:
            table.add_row(Text(source, overflow="fold"), "x".join(map(str, dims)), dtype, megabytes(size))
        yield table
