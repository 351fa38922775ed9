"""What the rows of a group come to: which files count, who leaves the fewest nodes, sums of nodes and of seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.groups import tools
from benchmarks.groups.results import built, known
from benchmarks.groups.rightness import NOT_RUN

Row = dict[str, Any]
Counts = Callable[[Row, str], bool]


def state(row: Row, tool: str) -> str:
    """ "right", "wrong", "fails", "not compared", "not made"; "not comparable" if the original does not run, "no file"
    where it is missing.
    """
    made = row["files"].get(tool)
    if not row["original"]:
        return "no file"
    if made is None:
        return "not made"
    if "error" in made:
        return "fails"
    if not known(row, tool):
        return "not compared"
    wrong = row["results"][tool].get("wrong", "")
    return "not comparable" if wrong == NOT_RUN else "wrong" if wrong else "right"


def is_right(row: Row, tool: str) -> bool:
    """Whether the tool's file computes what the original computes."""
    return state(row, tool) == "right"


def is_right_and_builds(row: Row, tool: str) -> bool:
    """Whether TensorRT builds the file as well."""
    return is_right(row, tool) and built(row, tool) == "builds"


def standing(models: Mapping[str, Row], ours: str, counts: Counts) -> tuple[list[str], dict[str, str]]:
    """The models on which surgeon's file counts and every peer's file is known, and those with a peer ahead.

    A model of the second has the peers that leave fewer nodes in a file that counts, and by how many.
    """
    open_states = ("not compared", "not made")
    judged = [
        name
        for name, row in models.items()
        if counts(row, ours) and not any(state(row, peer) in open_states for peer in tools.PEERS)
    ]
    behind = {name: ", ".join(_ahead(models[name], ours, counts)) for name in judged}
    return judged, {name: text for name, text in behind.items() if text}


def _ahead(row: Row, ours: str, counts: Counts) -> list[str]:
    more = {peer: nodes(row, ours) - nodes(row, peer) for peer in tools.PEERS if counts(row, peer)}
    return [f"{peer} {fewer}" for peer, fewer in more.items() if fewer > 0]


def nodes(row: Row, tool: str) -> int:
    """Nodes of the tool's file."""
    return int(row["files"][tool]["nodes"])


def pair(models: Mapping[str, Row], ours: str, peer: str, counts: Counts) -> tuple[int, int, int]:
    """On how many models both files count, and the nodes of surgeon's and of the peer's."""
    rows = [row for row in models.values() if counts(row, ours) and counts(row, peer)]
    return len(rows), sum(nodes(row, ours) for row in rows), sum(nodes(row, peer) for row in rows)


def least(row: Row, tool: str, what: str = "seconds") -> float | None:
    """The least of a tool's turns on a model; None if it has not finished one."""
    turns = [turn[what] for turn in row["times"].get(tool, []) if "error" not in turn]
    return min(turns, default=None)


def timed(models: Mapping[str, Row]) -> tuple[list[str], list[str]]:
    """The models that every tool has finished, and the others that are there."""
    present = [name for name, row in models.items() if row["original"]]
    full = [name for name in present if all(least(models[name], tool) is not None for tool in tools.TIMED)]
    return full, [name for name in present if name not in full]


def spent(models: Mapping[str, Row], names: list[str], tool: str) -> tuple[float, float]:
    """Seconds and processor seconds of a tool on these models."""
    seconds, processors = (
        sum(least(models[name], tool, what) or 0.0 for name in names) for what in ("seconds", "processor seconds")
    )
    return seconds, processors
