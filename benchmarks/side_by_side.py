"""Any models through `surgeon fix` with its guard and through the peers: what each leaves, and tables of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.rightness import Feeds, compare
from benchmarks.tables import table

PEERS = ("onnxsim", "onnxslim")
LARGE, GROWTH = 1_000_000, 1.01

ABOUT = (
    "Nodes count graphs inside nodes and functions. Every file is compared with the original in onnxruntime: on inputs "
    "a user of the model would give, on other numbers, and with each free dim halved and doubled. The difference is "
    "the largest of any output, in parts of its RMS (or of 0.001, if that is more), one element of 100,000 left out "
    "where a mask is cut at 0; the guard's own inputs are others. A file is wrong if an output differs by more than "
    "0.001, or for a quantized model by more than twice what it differs by itself when its inputs change by a "
    "millionth, "
    "if it does not run where the original does, or if an input or output is gone, inputs with a default value "
    "included. Surgeon's seconds are with the guard, which runs the model before and after; the peers compare nothing. "
    "Processor seconds count the work of all threads, whatever else the machine does."
)


def measure(
    sources: Mapping[str, Path], feeds: Callable[[str], Feeds], options: Any, found: dict[str, Any], path: Path
) -> None:
    """Fill `found["models"]` with what is missing of each model, and keep it at `path`.

    All tools take a model one after the other; what TensorRT says follows when all models have been through them.

    `options` has `work` (where the tools' files go), `peer_python` and `only` (names that are measured again).
    """
    rows = found.setdefault("models", {})
    quantized_first = sorted(sources, key=lambda name: "quantized" not in name)
    for parts, names in ((TOOLS, list(sources)), (BUILDS, quantized_first)):
        for name in names:
            source = sources[name]
            row = rows.setdefault(name, {})
            for key, part in parts.items():
                if key not in row or name in options.only:
                    print(name, key, flush=True)
                    row[key] = part(source, feeds(name), options)
                    path.write_text(json.dumps(found, indent=1) + "\n")
    found["models"] = {name: rows[name] for name in sources}
    if "at once" not in found:
        print("all in one command", flush=True)
        files = [source for name, source in sources.items() if "quantized" not in name]
        done = peers.run_surgeon_at_once(files, options.work / "at once", limit=3600)
        found["at once"] = {"models": len(files), **done}
    path.write_text(json.dumps(found, indent=1) + "\n")


def _ours(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """Seconds with the guard, nodes, bytes, the largest error, and whether a second fix changes anything."""
    target, again = (options.work / folder / source.name for folder in ("surgeon", "again"))
    row: dict[str, Any] = {"raw": nodes(source), "raw bytes": source.stat().st_size}
    row |= peers.run_surgeon(source, target)
    if "error" in row:
        return row
    row |= {"nodes": nodes(target), "bytes": target.stat().st_size} | compare(source, target, feeds)
    row["grown"] = row["raw bytes"] > LARGE and row["bytes"] > GROWTH * row["raw bytes"]
    second = peers.run_surgeon(target, again, ("--no-guard",))
    row["idempotent"] = "error" not in second and again.read_bytes() == target.read_bytes()
    return row


def _tensorrt(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """What the parser and builder of TensorRT say before and after: "builds", or the first reason."""
    files = {"before": source, "after": options.work / "surgeon" / source.name}
    return {when: _build(file, feeds) for when, file in files.items()}


def _build(file: Path, feeds: Feeds) -> str:
    from verify.tensorrt.engine import build

    if not file.is_file():
        return "no file"
    built = build(file, {name: (value.shape,) * 3 for name, value in feeds.items() if value.ndim}, limit=60)
    reasons = [f"{refusal.op} {refusal.message}" for refusal in built.refusals] + list(built.messages)
    return "builds" if built.ok else (reasons or ["refused"])[0][:160]


def _peers(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """For each peer: seconds, nodes, and whether its file still computes the same."""
    found: dict[str, Any] = {}
    for tool in PEERS if options.peer_python is not None else ():
        target = options.work / tool / source.name
        row = peers.run_peer(options.peer_python, tool, source, target)
        if "error" not in row:
            row |= {"nodes": nodes(target), "bytes": target.stat().st_size} | compare(source, target, feeds)
        found[tool] = row
    return found


def _built(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """What TensorRT says of the peers' files of quantized models."""
    quantized = "quantized" in f"{source.parent.name} {source.stem}"
    return {tool: _build(options.work / tool / source.name, feeds) for tool in PEERS if quantized}


TOOLS = {"ours": _ours, "peers": _peers}
BUILDS = {"tensorrt": _tensorrt, "built": _built}


def nodes(path: Path) -> int:
    """Nodes of the main graph, of the graphs inside its nodes and of its functions."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    todo = [list(model.graph.node), *(list(function.node) for function in model.functions)]
    total = 0
    while todo:
        inner = todo.pop()
        total += len(inner)
        todo += [list(attribute.g.node) for node in inner for attribute in node.attribute if attribute.HasField("g")]
    return total


def ours_table(models: Mapping[str, Any]) -> str:
    """What fix did with each model."""
    head = ["model", "nodes", "MB", "difference", "seconds", "fixed again", "TensorRT before", "after"]
    return table(head, [_our_row(name, row) for name, row in models.items()])


def peers_table(models: Mapping[str, Any]) -> str:
    """Nodes and seconds of every tool, and the sums over the models that all finished rightly."""
    rows = [_peer_row(name, row) for name, row in models.items()] + [_totals(models)]
    return table(["model", "raw", "surgeon", *PEERS], rows)


def built_table(models: Mapping[str, Any]) -> str:
    """Whether TensorRT builds what each tool leaves."""
    return table(["model", "as it is", "surgeon", *PEERS], [_built_row(name, row) for name, row in models.items()])


def _our_row(name: str, row: dict[str, Any]) -> list[str]:
    ours, built = row["ours"], row.get("tensorrt", {})
    if "error" in ours:
        return [name, str(ours["raw"]), f"{ours['raw bytes'] / 1e6:.2f}", ours["error"], "", "", "", ""]
    size = f"{ours['raw bytes'] / 1e6:.2f} → {ours['bytes'] / 1e6:.2f}" + (" (grown)" if ours["grown"] else "")
    right = ours.get("wrong") or ("none" if ours["difference"] == 0 else f"{ours['difference']:.1g}")
    same = "the same" if ours["idempotent"] else "changes"
    states = [_escaped(built.get(when, "-")) for when in ("before", "after")]
    return [name, f"{ours['raw']} → {ours['nodes']}", size, right, f"{ours['seconds']:.1f}", same, *states]


def _escaped(text: str) -> str:
    return text[:60].replace("|", "/").replace("\n", " ").strip()


def _peer_row(name: str, row: dict[str, Any]) -> list[str]:
    return [name, str(row["ours"]["raw"]), *(_cell(each) for each in (row["ours"], *_of_peers(row)))]


def _built_row(name: str, row: dict[str, Any]) -> list[str]:
    found = row.get("tensorrt", {})
    said = [found.get("before"), found.get("after"), *(row.get("built", {}).get(tool) for tool in PEERS)]
    return [name, *("not tried" if each is None else "builds" if each == "builds" else "refused" for each in said)]


def _of_peers(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row["peers"].get(tool, {"error": "not run"}) for tool in PEERS]


def _cell(row: dict[str, Any]) -> str:
    if "error" in row or "nodes" not in row:
        return "fails"
    return f"{row['nodes']} ({row['seconds']:.1f})" + (" wrong" if "wrong" in row else "")


def _totals(models: Mapping[str, Any]) -> list[str]:
    """Sums over the models that every tool finished rightly."""
    fair = _fair(models)
    sums = [
        f"{sum(r[i]['nodes'] for r in fair)} ({sum(r[i]['seconds'] for r in fair):.1f})" for i in range(1 + len(PEERS))
    ]
    return [f"the {len(fair)} that all finished rightly", str(sum(row[0]["raw"] for row in fair)), *sums]


def _fair(models: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """What surgeon and the peers did with each model that all of them finished rightly."""
    rows = [[row["ours"], *_of_peers(row)] for row in models.values()]
    return [row for row in rows if all(_is_right(one) for one in row)]


def _is_right(row: dict[str, Any]) -> bool:
    return "nodes" in row and "wrong" not in row


def summary(models: Mapping[str, Any]) -> str:
    """Where a peer leaves fewer nodes, what each peer gets wrong, and the seconds of the whole group."""
    judged = {name: row for name, row in models.items() if _is_right(row["ours"])}
    behind = [text for name, row in judged.items() if (text := _fewer(name, row))]
    share = f"{len(judged) - len(behind)} of {len(judged)}"
    lines = [f"- Surgeon leaves the fewest nodes of all files that are right, or as few, on {share} models."]
    if behind:
        lines.append(f"- A peer leaves fewer: {'; '.join(behind)}.")
    lines += [f"- {line}" for index, tool in enumerate(PEERS) if (line := _failures(index, tool, judged))]
    unknown = [name for name, row in models.items() if name not in judged]
    if unknown:
        lines.append(f"- Not counted, because surgeon's file is wrong or cannot be judged: {', '.join(unknown)}.")
    fair = _fair(models)
    spent = [sum(row[place].get("processor seconds", 0.0) for row in fair) for place in range(1 + len(PEERS))]
    names = ("surgeon", *PEERS)
    work = ", ".join(f"{name} {seconds:.1f}" for name, seconds in zip(names, spent, strict=True))
    lines.append(f"- Processor seconds of the {len(fair)} that all finished rightly, a command each: {work}.")
    return "\n".join(lines)


def at_once(found: Mapping[str, Any]) -> str:
    """Seconds of one `surgeon fix` of all the models."""
    done = found["at once"]
    return (
        f"One `surgeon fix` of all {done['models']} models of this table, with the guard: {done['seconds']:.1f} s, "
        f"{done['processor seconds']:.1f} processor seconds. The peers take one model a command."
    )


def _fewer(name: str, row: dict[str, Any]) -> str:
    """The peers that leave fewer nodes in a file that is right, and by how many."""
    ahead = [
        f"{tool} {row['ours']['nodes'] - one['nodes']}"
        for tool, one in zip(PEERS, _of_peers(row), strict=True)
        if _is_right(one) and one["nodes"] < row["ours"]["nodes"]
    ]
    return f"{name} ({', '.join(ahead)})" if ahead else ""


def _failures(index: int, tool: str, models: Mapping[str, Any]) -> str:
    """The models that one peer gets wrong or fails on."""
    rows = {name: _of_peers(row)[index] for name, row in models.items()}
    wrong = [f"{name}: {row['wrong'][:90]}" for name, row in rows.items() if "wrong" in row]
    fails = [name for name, row in rows.items() if "error" in row]
    parts = [f"wrong on {len(wrong)} ({'; '.join(wrong)})"] if wrong else []
    parts += [f"fails on {len(fails)} ({', '.join(fails)})"] if fails else []
    return f"{tool}: {', '.join(parts)}." if parts else ""
