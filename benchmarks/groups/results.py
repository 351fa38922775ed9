"""What every tool leaves of every model: whether it computes the same, and whether TensorRT builds it.

The load of the machine changes nothing here. A result is that of a file with a digest, and is not made again for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.groups import tools
from benchmarks.groups.rightness import compare
from benchmarks.groups.sources import Group, Source
from benchmarks.groups.tools import Feeds

AS_IT_IS = "as it is"
BUILD_LIMIT = 600.0  # seconds

Found = dict[str, Any]


def add(groups: Mapping[str, Group], options: Any, found: Found, save: Callable[[], None]) -> None:
    """Make the files that no timing has made, compare them with the originals, and build those of quantized models."""
    for name, group in groups.items():
        for model, source in group.sources.items():
            if not source.path.is_file():
                continue
            row, feeds = found[name]["models"][model], lru_cache(source.feeds)
            files = {tool: tools.place(options, name, tool, source.path) for tool in tools.judged(name)}
            for tool, file in files.items():
                if tool not in row["files"]:
                    print(name, model, tool, flush=True)
                    done = tools.run(tool, source.path, file, options.peer_python)
                    row["files"][tool] = {"error": done["error"]} if "error" in done else tools.describe(file)
                    save()
                if not known(row, tool):
                    print(name, model, tool, "compared", flush=True)
                    _compare(row, tool, source, file, feeds)
                    save()
            if name == "quantized":
                for tool, file in {AS_IT_IS: source.path, **files}.items():
                    _add_build(row, tool, file, feeds)
                save()


def digest(row: Found, tool: str) -> str:
    """The digest of the tool's file, or of the original; "" where there is no file."""
    return str((row["original"] if tool == AS_IT_IS else row["files"].get(tool, {})).get("digest", ""))


def known(row: Found, tool: str) -> bool:
    """Whether the file that the tool left last has been compared, or there is none."""
    found = row["results"].get(tool, {}).get("of")
    return not digest(row, tool) or found == [digest(row, AS_IT_IS), digest(row, tool)]


def built(row: Found, tool: str) -> str:
    """What TensorRT says of the file that the tool left last: "builds" or a reason; "" where it was not asked."""
    found = row["builds"].get(tool, {})
    return str(found["said"]) if found.get("of") == digest(row, tool) != "" else ""


def _compare(row: Found, tool: str, source: Source, file: Path, feeds: Callable[[], Feeds]) -> None:
    if tools.describe(file)["digest"] != digest(row, tool):
        raise SystemExit(f"{file} is not the file that was measured; give --anew {tool!r}")
    result = compare(source.path, file, feeds())
    if tool == tools.OURS:
        again = file.parent.with_name("again") / file.name
        second = peers.run_surgeon(file, again, ("--no-guard",))
        result["idempotent"] = "error" not in second and again.read_bytes() == file.read_bytes()
        again.unlink(missing_ok=True)
    row["results"][tool] = result | {"of": [digest(row, AS_IT_IS), digest(row, tool)]}


def _add_build(row: Found, tool: str, file: Path, feeds: Callable[[], Feeds]) -> None:
    """Build the file with TensorRT, unless that is known or there is no file."""
    if digest(row, tool) and not built(row, tool):
        row["builds"][tool] = {"said": _build(file, feeds()), "of": digest(row, tool)}


def _build(file: Path, feeds: Feeds) -> str:
    """ "builds", or the first reason."""
    from verify.tensorrt.engine import build

    made = build(file, {name: (value.shape,) * 3 for name, value in feeds.items() if value.ndim}, limit=BUILD_LIMIT)
    reasons = [f"{refusal.op} {refusal.message}" for refusal in made.refusals] + list(made.messages)
    said = "builds" if made.ok else (reasons or ["refused"])[0]
    return tools.FOLDERS.sub("", said)[:160]
