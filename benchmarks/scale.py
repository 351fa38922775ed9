"""Generated models through `surgeon fix` and the peers: seconds and peak memory as they grow, as JSON and one page.

    python -m benchmarks.scale --peer-python PATH [--work DIR]

Graphs of 1,000, 10,000 and 50,000 nodes as exporters write them (shape arithmetic, LayerNormalization written out,
casts and transposes that do nothing), and two models whose weights fill a file: 2.1 GB in the model, just below what
protobuf holds, and 2.7 GB beside it. Written files are loaded with onnxruntime and run once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from benchmarks import peers, sections
from benchmarks.scale_models import heavy, written_out
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
PEERS = ("onnxsim", "onnxslim", "polygraphy")
# Their functions save a model in one piece; their commands can put weights beside it.
BESIDE = {"onnxslim": "--save-as-external-data", "polygraphy": "--save-external-data {target}.data"}
SIZES = (1_000, 10_000, 50_000)
INLINE, OUTSIDE = 31, 40  # matrices of SIDE x SIDE float32: 2.08 and 2.68 GB


def main(arguments: list[str] | None = None) -> int:
    """Make each model, put it through each tool, write both files."""
    options = _parser().parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.results / "scale.json"
    found: dict[str, Any] = json.loads(path.read_text()) if options.only else {"models": {}}
    found["machine"] = sections.machine()
    for name, make in _models(options.work).items():
        if options.only and name not in options.only:
            continue
        source, nodes, shape = make()
        row: dict[str, Any] = {"nodes": nodes, "bytes": _bytes(source.parent), "shape": shape}
        found["models"][name] = row
        for tool in (*peers.OURS, *PEERS):
            print(name, tool, flush=True)
            row[tool] = _measured(tool, source, shape, options)
            options.results.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
        _remove(source.parent)
    path.with_suffix(".md").write_text(page(found))
    print(page(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/scale"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=[], help="measure the named models anew")
    return parser


def _models(work: Path) -> dict[str, partial[Any]]:
    """What makes each, in a folder of its own."""
    made = {f"{size:,} nodes": partial(_save, work / f"nodes-{size}", partial(written_out, size)) for size in SIZES}
    made["2.1 GB in the model"] = partial(_save, work / "inline", partial(heavy, INLINE))
    outside = work / "outside"
    return made | {"2.7 GB beside it": partial(_save, outside, partial(heavy, OUTSIDE, outside / "model.data"))}


def _save(folder: Path, make: Callable[[], onnx.ModelProto]) -> tuple[Path, int, list[int]]:
    """The file, its nodes, and its input's shape with two rows."""
    _remove(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, model = folder / "model.onnx", make()
    path.write_bytes(model.SerializeToString())
    dims = model.graph.input[0].type.tensor_type.shape.dim
    return path, len(model.graph.node), [2, *(dim.dim_value for dim in dims[1:])]


def _measured(tool: str, source: Path, shape: list[int], options: Any) -> dict[str, Any]:
    target = options.work / "made" / "model.onnx"
    _remove(target.parent)
    if tool in peers.OURS:
        row = peers.run_surgeon(source, target, peers.OURS[tool])
    elif options.peer_python is None:
        return {"error": "no --peer-python given"}
    elif any(source.parent.glob("*.data")):
        row = peers.run_command(options.peer_python, tool, source, target, BESIDE.get(tool, ""))
    else:
        row = peers.run_peer(options.peer_python, tool, source, target)
    if "error" not in row:
        row |= {"nodes": peers.nodes(target), "runs": peers.runs(target, shape)}
    _remove(target.parent)
    return row


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _remove(folder: Path) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink()


def page(found: dict[str, Any]) -> str:
    """One table: for each model and tool nodes, seconds and peak memory."""
    machine = found["machine"]
    tools = (*peers.OURS, *PEERS)
    rows = [[name, _size(row), *(_cell(row[tool], row) for tool in tools)] for name, row in found["models"].items()]
    return (
        "\n\n".join(
            [
                "# Generated models as they grow",
                f"{machine['processors']} CPU cores. In each cell: nodes left, seconds, and the most memory taken, in "
                "GB and, where weights fill the file, as a multiple of its size. The peers compare nothing.",
                table(["model", "nodes, MB", *tools], rows),
                per_node(found),
            ]
        )
        + "\n"
    )


def per_node(found: dict[str, Any]) -> str:
    """Seconds per node of the largest graph beside those of the smallest."""
    first, last = (found["models"][f"{size:,} nodes"] for size in (SIZES[0], SIZES[-1]))
    ratios = {
        tool: last[tool]["seconds"] / last["nodes"] / (first[tool]["seconds"] / first["nodes"])
        for tool in (*peers.OURS, *PEERS)
        if "error" not in first[tool] and "error" not in last[tool]
    }
    said = ", ".join(f"{tool} {ratio:.2f}" for tool, ratio in ratios.items())
    return f"Seconds per node at {SIZES[-1]:,} nodes, in parts of those at {SIZES[0]:,} (start-up included): {said}."


def _size(row: dict[str, Any]) -> str:
    return f"{row['nodes']:,}, {row['bytes'] / 1e6:,.1f}"


def _cell(cell: dict[str, Any], row: dict[str, Any]) -> str:
    if "error" in cell:
        reason = str(cell["error"])
        return "fails" if ": " in reason else f"fails: {reason}"  # not what an exception of another tool says
    memory = f"{cell['memory'] / 1e9:.1f} GB"
    if row["bytes"] > 1e9:
        memory += f" = {cell['memory'] / row['bytes']:.1f}x"
    return f"{cell['nodes']:,}, {cell['seconds']:.1f} s, {memory}" + ("" if cell["runs"] else ", does not run")


if __name__ == "__main__":
    raise SystemExit(main())
