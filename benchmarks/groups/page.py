"""The page of `python -m benchmarks.groups`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.groups import counts, tools
from benchmarks.groups.counts import Counts, Row, state
from benchmarks.groups.results import AS_IT_IS, built
from benchmarks.tables import table

NODES = (
    "Nodes count graphs inside nodes and functions. Every file is compared with the original in onnxruntime: on inputs "
    "a user of the model would give, on other numbers, and with each free dim halved and doubled. The difference is "
    "the largest of any output, in parts of its RMS (or of 0.001, if that is more), one element of 100,000 left out "
    "where a mask is cut at 0; the guard's own inputs are others. A file is wrong if an output differs by more than "
    "0.001, or for a quantized model by more than twice what it differs by itself when its inputs change by a "
    "millionth, if it does not run where the original does, or if an input or output is gone, inputs with a default "
    "value included. Only files that are right count."
)
SECONDS = (
    "Each tool is run by its own command, one command for a model. Surgeon compares the result with the original, "
    "which the others do not. onnxsim's command also makes a table of what the model costs; the seconds of its "
    "function `simplify` alone, called in a new Python, stand beside it. In brackets are processor seconds, which "
    "count the work of all threads, whatever else the machine does."
)
FOR_ONNXRUNTIME = (
    "The peers leave quantized operators as they are, and so does surgeon with `--target onnxruntime`. For TensorRT "
    "surgeon rewrites those that TensorRT lacks; the group's last table says whose files TensorRT builds."
)
NO_ANSWER = "did not answer within"  # what a build says that was ended for its time
QUANTIZED = (
    "For its default target surgeon rewrites what TensorRT refuses, which takes more nodes, and only files that "
    "TensorRT builds count there; with `--target onnxruntime` all files that are right count."
)


def page(found: Mapping[str, Any]) -> str:
    """The sums of all groups, then each group model by model."""
    machine, groups = found["machine"], found["groups"]
    versions = ", ".join(f"{name} {version}" for name, version in {**found["peers"], **found["packages"]}.items())
    parts = [
        "# Surgeon beside other tools on groups of models",
        f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}. Packages: {versions or 'none'}.",
        summary(groups),
        "# Each group, model by model",
        *(_group(name, group) for name, group in groups.items()),
    ]
    return "\n\n".join(parts) + "\n"


def summary(groups: Mapping[str, Any]) -> str:
    """Nodes and seconds of the groups."""
    lines = [_standing(*line) for line in _lines(groups)]
    totals = [_totals(*line) for line in _lines(groups)]
    missing = [f"- {name}: not measured: {group['missing']}." for name, group in groups.items() if group["missing"]]
    return "\n\n".join(
        [
            "## Nodes",
            NODES,
            table(["group", "models", "judged", "surgeon leaves the fewest, or as few", "a peer leaves fewer"], lines),
            QUANTIZED,
            "The sums are over the models on which both files count.",
            table(["group", *(f"surgeon / {peer}" for peer in tools.PEERS)], totals),
            "## Seconds",
            SECONDS,
            table(
                ["group", "models", *tools.TIMED, "surgeon, all in one command", tools.FUNCTION],
                [_spent(title, groups[title.split(",")[0]], ours) for title, _, ours, _ in _lines(groups)],
            ),
            FOR_ONNXRUNTIME,
            *(["\n".join(missing)] if missing else []),
        ]
    )


def _lines(groups: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Row], str, Counts]]:
    """Title, models, surgeon's run and which files count, for each line of the sums."""
    lines: list[tuple[str, Mapping[str, Row], str, Counts]] = []
    for name, group in groups.items():
        if name == "quantized":
            lines.append((f"{name}, for TensorRT", group["models"], tools.OURS, counts.is_right_and_builds))
            lines.append((f"{name}, for onnxruntime", group["models"], tools.FOR_ONNXRUNTIME, counts.is_right))
        else:
            lines.append((name, group["models"], tools.OURS, counts.is_right))
    return lines


def _standing(title: str, models: Mapping[str, Row], ours: str, which: Counts) -> list[str]:
    judged, behind = counts.standing(models, ours, which)
    ahead = "; ".join(f"{name} ({text})" for name, text in behind.items())
    best = f"{len(judged) - len(behind)} of {len(judged)}"
    if judged:
        best += f" ({(len(judged) - len(behind)) / len(judged):.0%})"
    return [title, str(len(models)), str(len(judged)), best, ahead or "none"]


def _totals(title: str, models: Mapping[str, Row], ours: str, which: Counts) -> list[str]:
    sums = [counts.pair(models, ours, peer, which) for peer in tools.PEERS]
    return [title, *(f"{own:,} / {other:,} ({number} models)" if number else "no model" for number, own, other in sums)]


def _spent(title: str, group: Mapping[str, Any], ours: str) -> list[str]:
    models = group["models"]
    full, _ = counts.timed(models)
    cells = [_sum(models, full, tool) for tool in (ours, *tools.TIMED[1:])]
    at_once = _at_once(group["at once"]) if ours == tools.OURS else ""
    return [title, str(len(full)), *cells, at_once, _sum(models, full, tools.FUNCTION)]


def _sum(models: Mapping[str, Row], names: list[str], tool: str) -> str:
    if not names or any(counts.least(models[name], tool) is None for name in names):
        return "not all measured"
    seconds, processors = counts.spent(models, names, tool)
    return f"{seconds:.1f} ({processors:.1f})"


def _at_once(turns: list[Row]) -> str:
    good = [turn for turn in turns if "error" not in turn]
    if not good:
        return f"fails: {turns[0]['error']}" if turns else "not measured"
    seconds, processors = (min(turn[what] for turn in good) for what in ("seconds", "processor seconds"))
    return f"{seconds:.1f} ({processors:.1f}), {good[0]['models']} models"


def _group(name: str, group: Mapping[str, Any]) -> str:
    """One group: a row for each model, and what is wrong or missing."""
    models, used = group["models"], tools.judged(name)
    head = ["model", "raw", *used, "MB", "difference", "fixed again, no guard"]
    parts = [f"## {group['title']}", "In each cell: nodes (seconds)."]
    if models:
        parts.append(table(head, [_row(model, row, used) for model, row in models.items()]))
    notes = [note for tool in used for note in _notes(models, tool)]
    notes += [f"- {group['missing']}."] if group["missing"] else []
    notes += [
        f"- Seconds are not all measured, or a tool fails: {', '.join(rest)}."
        for rest in [counts.timed(models)[1]]
        if rest
    ]
    if name == "quantized" and models:
        said = {model: built(row, tools.OURS) for model, row in models.items()}
        notes += [
            f"- TensorRT does not build surgeon's file of {m}: {text}."
            for m, text in said.items()
            if text != "builds" and text
        ]
        head = ["TensorRT", AS_IT_IS, *used]
        notes += ["", table(head, [[model, *(_said(row, tool) for tool in head[1:])] for model, row in models.items()])]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def _row(model: str, row: Row, used: tuple[str, ...]) -> list[str]:
    raw = row["original"]
    if not raw:
        return [model, "no file", *[""] * (len(used) + 3)]
    cells = [_cell(row, tool) for tool in used]
    made, found = row["files"].get(tools.OURS, {}), row["results"].get(tools.OURS, {})
    size = f"{raw['bytes'] / 1e6:.2f} → {made['bytes'] / 1e6:.2f}" if "bytes" in made else ""
    if state(row, tools.OURS) not in ("right", "wrong", "not comparable"):
        return [model, str(raw["nodes"]), *cells, size, "", ""]
    difference = found.get("difference", 0.0)
    right = found.get("wrong", f"{difference:.1g}" if difference else "none")
    return [model, str(raw["nodes"]), *cells, size, right, "the same" if found["idempotent"] else "changes"]


def _cell(row: Row, tool: str) -> str:
    """Nodes and seconds of a tool, and what else there is to say of its file."""
    status, seconds = state(row, tool), counts.least(row, tool)
    if status in ("fails", "not made"):
        return status
    text = str(counts.nodes(row, tool)) + (f" ({seconds:.1f})" if seconds is not None else "")
    return text if status == "right" else f"{text} {status}"


def _said(row: Row, tool: str) -> str:
    said = built(row, tool)
    if NO_ANSWER in said:
        return "no answer"
    return "builds" if said == "builds" else "refused" if said else "not asked"


def _notes(models: Mapping[str, Row], tool: str) -> list[str]:
    """What one tool gets wrong or fails on, and why."""
    wrong = [
        f"{name} ({row['results'][tool]['wrong'][:90]})" for name, row in models.items() if state(row, tool) == "wrong"
    ]
    why: dict[str, list[str]] = {}
    for name, row in models.items():
        if state(row, tool) == "fails":
            why.setdefault(row["files"][tool]["error"][:90], []).append(name)
    unknown = [name for name, row in models.items() if state(row, tool) in ("not compared", "not made")]
    notes = [f"- {tool} is wrong on {len(wrong)}: {'; '.join(wrong)}."] if wrong else []
    notes += [f"- {tool} fails on {len(names)} ({reason}): {', '.join(names)}." for reason, names in why.items()]
    names = "all" if len(unknown) == len(models) else f"{len(unknown)}: {', '.join(unknown)}"
    return notes + ([f"- {tool}: not made or not compared on {names}."] if unknown else [])
