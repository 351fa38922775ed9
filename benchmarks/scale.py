"""Generated models through `surgeon fix` and the peers: seconds and peak memory as they grow, as JSON and one page.

    python -m benchmarks.scale --peer-python PATH [--work DIR]

Graphs of 1,000, 10,000 and 50,000 nodes as exporters write them (shape arithmetic, LayerNormalization written out,
casts and transposes that do nothing), and two models whose weights fill a file: 2.1 GB in the model, just below what
protobuf holds, and 2.7 GB beside it. Written files are loaded with onnxruntime and run once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from benchmarks import peers, sections
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
PEERS = ("onnxsim", "onnxslim", "polygraphy")
SIZES = (1_000, 10_000, 50_000)
WIDTH, SIDE = 32, 4096
INLINE, OUTSIDE = 31, 40  # matrices of SIDE x SIDE float32: 2.08 and 2.68 GB


def main(arguments: list[str] | None = None) -> int:
    """Make each model, put it through each tool, write both files."""
    options = _parser().parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"machine": sections.machine(), "models": {}}
    for name, source in _models(options.work):
        row: dict[str, Any] = {"nodes": peers.nodes(source), "bytes": _bytes(source.parent)}
        found["models"][name] = row
        for tool in (*sections.OURS, *PEERS):
            print(name, tool, flush=True)
            row[tool] = _measured(tool, source, options)
            options.results.mkdir(parents=True, exist_ok=True)
            (options.results / "scale.json").write_text(json.dumps(found, indent=1) + "\n")
        _remove(source.parent)
    (options.results / "scale.md").write_text(page(found))
    print(page(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/scale"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


def _models(work: Path) -> Iterator[tuple[str, Path]]:
    """Names and files, each made when it is asked for and in a folder of its own."""
    for size in SIZES:
        yield f"{size:,} nodes", _save(written_out(size), work / f"nodes-{size}")
    yield "2.1 GB in the model", _save(heavy(INLINE), work / "inline")
    yield "2.7 GB beside it", _save(heavy(OUTSIDE, work / "outside" / "model.data"), work / "outside")


def _save(model: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def written_out(size: int) -> onnx.ModelProto:
    """At least `size` nodes in blocks of 22, float32 [N, 4, 32] to the same."""
    nodes: list[onnx.NodeProto] = []
    name = "x"
    while len(nodes) < size:
        name = _block(nodes, name, f"b{len(nodes)}_")
    rng = np.random.default_rng(0)
    weights = {
        "weight": rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5,
        "gain": np.ones(WIDTH),
        "offset": np.zeros(WIDTH),
        "two": np.array(2.0),
        "small": np.array(1e-5),
    }
    initializers = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    initializers += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in (("zero", 0), ("axis", [0]))]
    initializers.append(numpy_helper.from_array(np.array([4, WIDTH], np.int64), "rest"))
    return _model(nodes, name, ["N", 4, WIDTH], initializers)


def _block(nodes: list[onnx.NodeProto], x: str, stem: str) -> str:
    """A residual block with what exporters leave around one; the name of its output."""

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(make_node(op, list(inputs), [f"{stem}{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    length = add("Unsqueeze", add("Gather", add("Shape", x), "zero"), "axis")
    shape = add("Concat", add("Cast", length, to=TensorProto.INT64), "rest", axis=0)
    y = add("MatMul", add("Reshape", x, shape), add("Identity", "weight"))
    gap = add("Sub", y, add("ReduceMean", y, axes=[-1]))
    spread = add("Sqrt", add("Add", add("ReduceMean", add("Pow", gap, "two"), axes=[-1]), "small"))
    y = add("Add", add("Mul", add("Div", gap, spread), "gain"), "offset")
    y = add("Transpose", add("Transpose", y, perm=[0, 2, 1]), perm=[0, 2, 1])
    y = add("Relu", add("Cast", add("Identity", y), to=TensorProto.FLOAT))
    return add("Add", y, x)


def heavy(matrices: int, beside: Path | None = None) -> onnx.ModelProto:
    """Products with `matrices` weights of 67 MB, float32 [N, 4096] to the same; weights go to the file `beside`."""
    nodes, initializers, name = [], [], "x"
    for number in range(matrices):
        weight = np.random.default_rng(number).standard_normal((SIDE, SIDE), dtype=np.float32) / SIDE**0.5
        initializers.append(_weight(f"w{number}", weight, beside))
        nodes.append(make_node("MatMul", [name, f"w{number}"], [f"m{number}"]))
        nodes.append(make_node("Identity", [f"m{number}"], [f"i{number}"]))
        nodes.append(make_node("Tanh", [f"i{number}"], [f"t{number}"]))
        name = f"t{number}"
    return _model(nodes, name, ["N", SIDE], initializers)


def _weight(name: str, values: Any, beside: Path | None) -> onnx.TensorProto:
    if beside is None:
        return numpy_helper.from_array(values, name)
    beside.parent.mkdir(parents=True, exist_ok=True)
    tensor = TensorProto(name=name, dims=values.shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    with beside.open("ab") as stream:
        place = (("location", beside.name), ("offset", stream.tell()), ("length", values.nbytes))
        for key, value in place:
            tensor.external_data.add(key=key, value=str(value))
        stream.write(values.tobytes())
    return tensor


def _model(nodes: list[onnx.NodeProto], last: str, shape: list[Any], initializers: list[Any]) -> onnx.ModelProto:
    ends = [make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", last)]
    graph = make_graph(nodes, "generated", ends[:1], ends[1:], initializers)
    return make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)


def _measured(tool: str, source: Path, options: Any) -> dict[str, Any]:
    target = options.work / "made" / "model.onnx"
    _remove(target.parent)
    if tool in sections.OURS:
        row = peers.run_surgeon(source, target, sections.OURS[tool])
    elif options.peer_python is None:
        return {"error": "no --peer-python given"}
    else:
        row = peers.run_peer(options.peer_python, tool, source, target)
    if "error" not in row:
        row |= {"nodes": peers.nodes(target), "runs": peers.runs(target, _shape(source))}
    _remove(target.parent)
    return row


def _shape(source: Path) -> list[int]:
    """The input's shape with two rows."""
    dims = onnx.load(source, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    return [2, *(dim.dim_value for dim in dims[1:])]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _remove(folder: Path) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink()


def page(found: dict[str, Any]) -> str:
    """One table: for each model and tool nodes, seconds and peak memory."""
    machine = found["machine"]
    tools = (*sections.OURS, *PEERS)
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
        for tool in (*sections.OURS, *PEERS)
        if "error" not in first[tool] and "error" not in last[tool]
    }
    said = ", ".join(f"{tool} {ratio:.2f}" for tool, ratio in ratios.items())
    return f"Seconds per node at {SIZES[-1]:,} nodes, in parts of those at {SIZES[0]:,} (start-up included): {said}."


def _size(row: dict[str, Any]) -> str:
    return f"{row['nodes']:,}, {row['bytes'] / 1e6:,.1f}"


def _cell(cell: dict[str, Any], row: dict[str, Any]) -> str:
    if "error" in cell:
        return "fails: " + str(cell["error"])[:60].replace("|", "/")
    memory = f"{cell['memory'] / 1e9:.1f} GB"
    if row["bytes"] > 1e9:
        memory += f" = {cell['memory'] / row['bytes']:.1f}x"
    return f"{cell['nodes']:,}, {cell['seconds']:.1f} s, {memory}" + ("" if cell["runs"] else ", does not run")


if __name__ == "__main__":
    raise SystemExit(main())
