"""Any models through `surgeon fix` with its guard and through the peers: what each leaves, and tables of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.tables import table

PEERS = ("onnxsim", "onnxslim", "polygraphy")
CLOSE = 1e-3  # of the RMS of an output: what the guard allows after passes that round
SMALLEST_RMS = 1e-3  # a picture without text gives probabilities of 1e-7, which rounding alone changes
FLIPS = 1e-5  # of the elements of an output: a mask cut at 0 turns where the logit is 0 within rounding
LARGE, GROWTH = 1_000_000, 1.01

ABOUT = (
    "Nodes count graphs inside nodes and functions. The difference is the largest of any output, in parts of its RMS "
    "(or of 0.001, if that is more), on inputs a user of the model would give, one element of 100,000 left out where a "
    "mask is cut at 0; the guard's own inputs are others. "
    "Surgeon's seconds are with the guard, which runs the model before and after; the peers compare nothing."
)

Feeds = Mapping[str, Any]


def measure(
    sources: Mapping[str, Path], feeds: Callable[[str], Feeds], options: Any, found: dict[str, Any], path: Path
) -> None:
    """Fill `found["models"]` with what is missing of each model, all tools one after the other, and keep it at `path`.

    `options` has `work` (where the tools' files go), `peer_python` and `only` (names that are measured again).
    """
    rows = found.setdefault("models", {})
    for name, source in sources.items():
        row = rows.setdefault(name, {})
        for key, part in PARTS.items():
            if key not in row or name in options.only:
                print(name, key, flush=True)
                row[key] = part(source, feeds(name), options)
                path.write_text(json.dumps(found, indent=1) + "\n")
    found["models"] = {name: rows[name] for name in sources}
    path.write_text(json.dumps(found, indent=1) + "\n")


def _ours(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """Seconds with the guard, nodes, bytes, the largest error, and whether a second fix changes anything."""
    target, again = (options.work / folder / source.name for folder in ("surgeon", "again"))
    row: dict[str, Any] = {"raw": nodes(source), "raw bytes": source.stat().st_size}
    row |= peers.run_surgeon(source, target)
    if "error" in row:
        return row
    row |= {"nodes": nodes(target), "bytes": target.stat().st_size} | _compare(source, target, feeds)
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
        row = peers.run_peer(options.peer_python, tool, source, target, limit=60)
        if "error" not in row:
            row |= {"nodes": nodes(target), "bytes": target.stat().st_size} | _compare(source, target, feeds)
        found[tool] = row
    return found


def _built(source: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """What TensorRT says of the peers' files of quantized models."""
    quantized = "quantized" in f"{source.parent.name} {source.stem}"
    return {tool: _build(options.work / tool / source.name, feeds) for tool in PEERS if quantized}


PARTS = {"ours": _ours, "tensorrt": _tensorrt, "peers": _peers, "built": _built}


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


def _compare(source: Path, target: Path, feeds: Feeds) -> dict[str, Any]:
    """Largest error over all outputs relative to the RMS, or what is wrong."""
    wanted = _run(source, feeds)
    try:
        got = _run(target, feeds)
    except Exception as error:
        said = str(error).replace(f"{target.parent}/", "")
        return {"wrong": f"does not run: {said[:120]}"}
    worst, flipped = 0.0, 0
    for name, right in wanted.items():
        value = got.get(name)
        if value is None or value.shape != right.shape or value.dtype != right.dtype:
            return {"wrong": f"output '{name}' is missing or has another shape or type"}
        if right.dtype.kind != "f":
            if not np.array_equal(right, value):
                return {"wrong": f"output '{name}' differs"}
        elif right.size and right.tobytes() != value.tobytes():
            rms = max(float(np.sqrt(np.mean(right.astype(np.float64) ** 2))), SMALLEST_RMS)
            error = np.abs(value.astype(np.float64) - right) / rms
            far = error > CLOSE
            if far.sum() > FLIPS * far.size:
                return {"difference": float(error.max()), "wrong": f"differs by {error.max():.1g} of the RMS"}
            worst, flipped = max(worst, float(error[~far].max(initial=0))), flipped + int(far.sum())
    return {"difference": worst, "flipped": flipped, "compared": sum(int(value.size) for value in wanted.values())}


def _run(path: Path, feeds: Feeds) -> dict[str, Any]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    # Nodes as they stand: the fused kernels of quantized models round otherwise, with the same file as with another.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    taken = {value.name: feeds[value.name] for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, taken), strict=True))


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
    ours, built = row["ours"], row["tensorrt"]
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
    said = [row["tensorrt"]["before"], row["tensorrt"]["after"], *(row["built"][tool] for tool in PEERS)]
    return [name, *("builds" if each == "builds" else "refused" for each in said)]


def _of_peers(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row["peers"].get(tool, {"error": "not run"}) for tool in PEERS]


def _cell(row: dict[str, Any]) -> str:
    if "error" in row or "nodes" not in row:
        return "fails"
    return f"{row['nodes']} ({row['seconds']:.1f})" + (" wrong" if "wrong" in row else "")


def _totals(models: Mapping[str, Any]) -> list[str]:
    """Sums over the models that every tool finished rightly."""
    rows = [[row["ours"], *_of_peers(row)] for row in models.values()]
    fair = [row for row in rows if all("nodes" in one and "wrong" not in one for one in row)]
    sums = [
        f"{sum(r[i]['nodes'] for r in fair)} ({sum(r[i]['seconds'] for r in fair):.1f})" for i in range(1 + len(PEERS))
    ]
    return [f"the {len(fair)} that all finished rightly", str(sum(row[0]["raw"] for row in fair)), *sums]
