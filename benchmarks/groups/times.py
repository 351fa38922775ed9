"""Seconds of every tool on every model, and of one `surgeon fix` of a whole group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import peers
from benchmarks.groups import tools
from benchmarks.groups.sources import Group, Source

AT_ONCE_LIMIT = 3600.0
KEPT = ("seconds", "processor seconds", "memory", "error")

Found = dict[str, Any]


def measure(groups: Mapping[str, Group], options: Any, found: Found, save: Callable[[], None]) -> None:
    """Add turns to each model and tool of `found` until there are `options.repeats` of them.

    The tools take turns on a model, so that what else the machine does is shared by them. The function of onnxsim,
    which the sums can do without, comes last.
    """
    present = {name: _present(group) for name, group in groups.items()}
    for function in (False, True):
        for turn in range(options.repeats):
            for name, sources in present.items():
                for model, source in sources.items():
                    for tool in (tools.FUNCTION,) if function else tools.timed(name):
                        if _add_turn(found[name]["models"][model], turn, tool, source, name, options):
                            print(name, model, tool, flush=True)
                            save()
                if not function:
                    _add_turn_at_once(found[name], turn, sources, name, options)
                    save()


def _present(group: Group) -> dict[str, Source]:
    """The models whose file is there."""
    return {model: source for model, source in group.sources.items() if source.path.is_file()}


def _add_turn(row: Found, turn: int, tool: str, source: Source, group: str, options: Any) -> bool:
    """Run the tool on the model if this turn is missing; whether it was."""
    turns = row["times"].setdefault(tool, [])
    if len(turns) > turn:
        return False
    target = tools.place(options, group, tool, source.path)
    done = tools.run(tool, source.path, target, options.peer_python)
    turns.append({key: done[key] for key in KEPT if key in done})
    if tool != tools.FUNCTION:
        row["files"][tool] = {"error": done["error"]} if "error" in done else tools.describe(target)
    return True


def _add_turn_at_once(group: Found, turn: int, present: Mapping[str, Source], name: str, options: Any) -> None:
    """One command for all models of the group, if this turn is missing."""
    if len(group["at once"]) > turn or not present:
        return
    print(name, "all in one command", flush=True)
    files = [source.path for source in present.values()]
    done = peers.run_surgeon_at_once(files, options.work / name / "at once", AT_ONCE_LIMIT)
    if "error" in done:
        done["error"] = tools.FOLDERS.sub("", done["error"])
    group["at once"].append({"models": len(files), **{key: done[key] for key in KEPT if key in done}})


def forget(groups: Mapping[str, Group], found: Found, names: Sequence[str]) -> None:
    """Forget seconds and files of these tools, or of all, so that they are measured anew.

    Comparisons are kept: they are of files with a digest, and count again if a tool leaves the same file.
    """
    for name in groups:
        if not names or tools.OURS in names:
            found[name]["at once"] = []
        for row in found[name]["models"].values():
            for kept in (row["times"], row["files"]):
                for tool in [tool for tool in kept if not names or tool in names]:
                    del kept[tool]
