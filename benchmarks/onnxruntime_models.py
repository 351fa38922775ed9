"""What onnxruntime's optimizer and quantizer write, before and after `surgeon fix` and the peers, as JSON and one page.

    python -m benchmarks.onnxruntime_models --torch-python PATH --peer-python PATH

The models are exports with random weights (`benchmarks/onnxruntime_torch.py`): a BERT, a ViT, the encoders of a Whisper
and a T5, and a convolutional network. Each goes through onnxruntime's optimizer at three levels, its optimizer of
transformers, and its quantizer (`benchmarks/onnxruntime_forms.py`). TensorRT-RTX then says whether it builds the file,
what each peer makes of it, and what surgeon makes of it. What a first run has found stands in onnxruntime.json and is
not measured again; `--only` measures the named models anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import onnxruntime_forms, peers, sections
from benchmarks.onnxruntime_error import NOTICED, explained, first_difference
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
PEERS = ("onnxsim", "onnxslim", "polygraphy")
PLAIN = ("", "ai.onnx")
LIMIT = 3600.0  # seconds of one tool on all files
LOOP = """
import sys
for src, dst in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        exec(sys.argv[1], {"src": src, "dst": dst})
    except Exception as error:
        print(src, error, file=sys.stderr)
"""
Feeds = Mapping[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Export, write the forms, measure what is missing, write both files."""
    options = _parser().parse_args(arguments)
    path = options.results / "onnxruntime.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"models": {}}
    found["machine"] = sections.machine()
    exports = options.work / "torch"
    if options.torch_python is not None and not exports.is_dir():
        script = Path(__file__).with_name("onnxruntime_torch.py")
        subprocess.run([str(options.torch_python), str(script), str(exports)], check=True)
    missing: dict[str, tuple[Path, Feeds]] = {}
    for source in sorted(exports.glob("*.onnx")):
        feeds = dict(np.load(source.with_suffix(".npz")))
        for form, file in onnxruntime_forms.write(source, options.work / "forms", feeds).items():
            name = f"{source.stem}, {form}"
            if name not in found["models"] or name in options.only:
                missing[name] = file, feeds
    through_tools([file for file, _ in missing.values()], options)
    for name, (file, feeds) in missing.items():
        found["models"][name] = measured(file, feeds, options)
        print(name, found["models"][name], flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    found["models"] = dict(sorted(found["models"].items()))
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(page(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.onnxruntime_models", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--torch-python", type=Path)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/onnxruntime"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=[])
    return parser


def through_tools(files: list[Path], options: Any) -> None:
    """Run each tool on all files in one process; a peer that dies on the way gets the rest one by one."""
    if not files:
        return
    peers.run_surgeon_at_once(files, options.work / "surgeon", limit=LIMIT)
    for tool in PEERS if options.peer_python is not None else ():
        targets = {file: (options.work / tool / file.name).resolve() for file in files}
        (options.work / tool).mkdir(exist_ok=True)
        pairs = [str(path) for file, target in targets.items() for path in (file.resolve(), target)]
        if not peers.works(options.peer_python, tool):
            continue
        with tempfile.TemporaryDirectory() as scratch:  # some leave files where they run
            peers.timed([str(options.peer_python.absolute()), "-c", LOOP, peers.SCRIPTS[tool], *pairs], LIMIT, scratch)
        for file, target in targets.items():
            if not target.is_file():
                peers.run_peer(options.peer_python, tool, file, target)


def measured(file: Path, feeds: Feeds, options: Any) -> dict[str, Any]:
    """Operators of onnxruntime in the file, TensorRT's answer before and after each tool, nodes, and the error."""
    row: dict[str, Any] = {"operators": foreign(file), "nodes": peers.nodes(file), "before": verdict(file, feeds)}
    for tool in ("surgeon", *(PEERS if options.peer_python is not None else ())):
        made = options.work / tool / file.name
        row[tool] = {"verdict": verdict(made, feeds) if made.is_file() else "no file"}
    made = options.work / "surgeon" / file.name
    if made.is_file():
        row["surgeon"] |= {"nodes": peers.nodes(made), "left": foreign(made), "error": difference(file, made, feeds)}
        if row["surgeon"]["error"] > NOTICED:
            row["surgeon"]["begins"] = first_difference(_as_defined(file), _as_defined(made), feeds)
    return row


def foreign(file: Path) -> list[str]:
    """Operators of the file that ONNX does not have."""
    import onnx

    nodes = onnx.load(file, load_external_data=False).graph.node
    return sorted(
        {node.op_type for node in nodes if node.domain not in PLAIN or node.op_type == "SimplifiedLayerNormalization"}
    )


def verdict(file: Path, feeds: Feeds) -> str:
    """ "builds", or TensorRT-RTX's first reason."""
    from verify.tensorrt.engine import build

    built = build(file, {name: (value.shape,) * 3 for name, value in feeds.items()}, limit=120)
    reasons = [f"{refusal.op} {refusal.message}" for refusal in built.refusals] + list(built.messages)
    return "builds" if built.ok else (reasons or ["refused"])[0][:120]


def difference(before: Path, after: Path, feeds: Feeds) -> float:
    """The largest difference of any output, in parts of its RMS.

    Products of uint8 by int8, which onnxruntime sums in 16 bits on a processor without VNNI, are what they define.
    """
    pairs = zip(*(_run(_as_defined(file), feeds) for file in (before, after)), strict=True)
    return max(float(np.abs(old - new).max() / max(np.sqrt((old**2).mean()), 1e-6)) for old, new in pairs)


def _as_defined(file: Path) -> Any:
    import onnx

    from verify.run.saturation import without_saturation

    return without_saturation(onnx.load(file))


def _run(model: Any, feeds: Feeds) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [value.astype(np.float64) for value in session.run(None, dict(feeds))]


def page(found: dict[str, Any]) -> str:
    """The table of models and the table of operators."""
    models, machine = found["models"], found["machine"]
    parts = [
        "# Models that went through onnxruntime's optimizer or quantizer",
        f"onnxruntime {machine['onnxruntime']}, TensorRT-RTX's parser and builder. "
        "The error is the largest of any output, in parts of its RMS, with products of uint8 by int8 as they are "
        "defined (a processor without VNNI sums them in 16 bits).",
        _built(models),
        "## Model by model",
        table(("model", "TensorRT before", *PEERS, "surgeon", "nodes", "error"), _rows(models)),
        *_larger_errors(models),
        "## Operator by operator",
        "Of each operator: in how many of these files it stands, in how many of them no operator of onnxruntime is "
        "left after surgeon, and how many of those TensorRT builds.",
        table(("operator", "files", "written in plain ONNX", "built"), _operators(models)),
    ]
    return "\n\n".join(parts) + "\n"


def _built(models: dict[str, Any]) -> str:
    """How many files TensorRT builds as they are, after each peer that was run, and after surgeon."""
    rows = models.values()
    before = sum(row["before"] == "builds" for row in rows)
    after = {tool: sum(row[tool]["verdict"] == "builds" for row in rows if tool in row) for tool in (*PEERS, "surgeon")}
    counts = ", ".join(f"{count} after {tool}" for tool, count in after.items())
    return f"Of {len(models)} files TensorRT-RTX builds {before} as they are, {counts}."


def _rows(models: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, row in models.items():
        ours = row["surgeon"]
        after = [_short(row[tool]["verdict"]) if tool in row else "" for tool in PEERS]
        nodes, error = f"{row['nodes']} → {ours.get('nodes', '')}", ours.get("error")
        figure = f"{error:.1g}" if isinstance(error, float) else str(error)
        rows.append((name, _short(row["before"]), *after, _short(ours.get("verdict", "no file")), nodes, figure))
    return rows


def _larger_errors(models: dict[str, Any]) -> list[str]:
    """A section on where errors above float32 rounding begin; nothing where there are none."""
    begins = {name: row["surgeon"]["begins"] for name, row in models.items() if row["surgeon"].get("begins")}
    if not begins:
        return []
    lines = [f"- {name}: {explained(found)}." for name, found in begins.items()]
    return [
        "## Where larger errors begin",
        f"Errors above {NOTICED:.0e}. A product that quantizes its input while it runs rounds each value to one of 256 "
        "steps: where a rounding error of 1e-7 moves a value over the middle between two steps, the row the value "
        "stands in differs by a whole step, and so does all that is computed from it.",
        "\n".join(lines),
    ]


def _short(text: str) -> str:
    return text if text in ("builds", "no file") else "refused"


def _operators(models: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for operator in sorted({name for row in models.values() for name in row["operators"]}):
        files = [row["surgeon"] for row in models.values() if operator in row["operators"]]
        written = [ours for ours in files if ours.get("left") == []]
        built = [ours for ours in written if ours.get("verdict") == "builds"]
        rows.append((operator, str(len(files)), str(len(written)), str(len(built))))
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
