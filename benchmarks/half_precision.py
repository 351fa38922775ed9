"""Ten public architectures in half precision: surgeon beside onnxruntime's float16.py and NVIDIA's AutoCast.

    python -m benchmarks.half_precision --torch-python PATH --peer-python PATH --autocast-python PATH

The models have random weights (`benchmarks/half_precision_torch.py`). The results run on three sets of inputs that no
tool was given: ordinary ones, rows of zeros, and values a hundred times as large. They run as a GPU computes them,
with every float16 tensor rounded (`verify.compare.half_file`), beside the float32 original. What a first run has found
stands in half_precision.json and is not measured again; `--only` measures the named models anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers, sections
from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
SETS = ("ordinary", "zero_rows", "large")
ORIGINAL = "original"
MODELS = ("bert", "detector", "gpt2", "llama", "resnet", "segmenter", "t5", "unet", "vit", "whisper")
OURS = {"surgeon fp16": ("--precision", "fp16"), "surgeon mixed": ("--precision", "mixed")}
TOOLS = (ORIGINAL, *OURS, *peers.CONVERTERS)
NOTICED = 1e-2  # what weights in float16 alone may cost before the page explains it
LIMIT = 900.0  # seconds of one tool on one file


def main(arguments: list[str] | None = None) -> int:
    """Export, convert, measure what is missing, write both files."""
    options = _parser().parse_args(arguments)
    path = options.results / "half_precision.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"models": {}}
    exports = options.work / "torch"
    if options.torch_python is not None and not exports.is_dir():
        script = Path(__file__).with_name("half_precision_torch.py")
        subprocess.run([str(options.torch_python), str(script), str(exports)])
    files = sorted(exports.glob("*.onnx"))
    if not files:
        print(f"{exports} has no models: give --torch-python, a Python with torch and transformers", file=sys.stderr)
        return 2
    found["machine"] = sections.machine()
    for file in files:
        known = {} if file.stem in options.only else found["models"].get(file.stem, {})
        for tool in TOOLS:
            if tool not in known:
                known[tool] = measured(tool, file, options)
                print(file.stem, tool, known[tool], flush=True)
                found["models"][file.stem] = known
                path.write_text(json.dumps(found, indent=1) + "\n")
    found["models"] = dict(sorted(found["models"].items()))
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(page(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.half_precision", description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", type=Path, help="has torch, torchvision, transformers and diffusers")
    parser.add_argument("--peer-python", type=Path, help="has onnxruntime")
    parser.add_argument("--autocast-python", type=Path, help="has nvidia-modelopt")
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/half_precision"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=[])
    return parser


def measured(tool: str, file: Path, options: Any) -> dict[str, Any]:
    """The figures of the original, or of what a tool makes of it."""
    import onnx

    from surgery.precision.casts import with_rounded_weights
    from verify.compare.half_file import float32_nodes

    target = options.work / tool / file.name
    row = {} if tool == ORIGINAL else convert(tool, file, target, options)
    if "error" in row:
        return row
    feeds = {name: dict(np.load(file.with_name(f"{file.stem}.{name}.npz"))) for name in SETS}
    original = onnx.load(file)
    exact = {name: run(original, feed) for name, feed in feeds.items()}
    if tool == ORIGINAL:
        halved = compared(with_rounded_weights(original, "fp16"), feeds, exact)
        return {"bytes": file.stat().st_size, "weights alone": halved["error"], **built(file)}
    row |= {"bytes": target.stat().st_size, "in float32": float32_nodes(onnx.load(target))}
    return row | compared(onnx.load(target), feeds, exact) | built(target)


def convert(tool: str, file: Path, target: Path, options: Any) -> dict[str, Any]:
    """Run one tool; what it says where it writes nothing, or why it was not run."""
    target.unlink(missing_ok=True)
    if tool in OURS:
        return peers.run_surgeon(file, target, OURS[tool], LIMIT)
    python = options.autocast_python if tool == "modelopt autocast" else options.peer_python
    if python is None:
        return {"error": "not measured: no Python given that has it"}
    return peers.run_peer(python, tool, file, target, LIMIT)


def compared(model: Any, feeds: Mapping[str, Any], exact: Mapping[str, list[Any]]) -> dict[str, Any]:
    """By set of inputs: values that are NaN or infinite only here, and the largest error of an output by its RMS.

    The error is None where an output is finite nowhere.
    """
    from verify.compare.half_file import in_float32

    found: dict[str, Any] = {"not finite": {}, "error": {}}
    simulated = in_float32(model)
    for name, feed in feeds.items():
        try:
            outputs = run(simulated, feed)
        except Exception as error:  # whatever the exception, the result does not run
            return {"error": f"does not run: {str(error)[:150]}"}
        pairs = list(zip(exact[name], outputs, strict=True))
        found["not finite"][name] = sum(int((np.isfinite(old) & ~np.isfinite(new)).sum()) for old, new in pairs)
        sizes = [_error(old, new) for old, new in pairs]
        found["error"][name] = None if np.isnan(sizes).any() else max(sizes)
    return found


def _error(old: Any, new: Any) -> float:
    """RMS of the difference over that of the original where both are finite; NaN where nothing is finite."""
    both = np.isfinite(old) & np.isfinite(new)
    if np.isfinite(old).any() and not both.any():
        return float("nan")
    rms = float(np.sqrt(np.mean(old[both] ** 2))) if both.any() else 0.0
    return float(np.sqrt(np.mean((old[both] - new[both]) ** 2))) / rms if rms else 0.0


def run(model: Any, feed: Mapping[str, Any]) -> list[Any]:
    """The outputs in float64, from onnxruntime without its optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    values = session.run(None, {name: value for name, value in feed.items() if name in wanted})
    return [value.astype(np.float64) for value in values]


def built(file: Path) -> dict[str, Any]:
    """TensorRT-RTX's kernels, fused attentions, and megabytes of device memory; its refusal where it builds nothing."""
    from verify.errors import MissingBackend
    from verify.tensorrt.compile import compile_model

    try:
        found = compile_model(file, {}, "ada")
    except MissingBackend as error:
        return {"build": f"not built: {error}"}
    if not found.ok:
        return {"build": ("; ".join(found.messages) or "refused")[:200]}
    return {
        "build": "built",
        "kernels": found.kernels,
        "fused": f"{found.fused} of {len(found.attentions)}",
        "scratch": found.scratch,
        "weights": found.weights,
    }


def page(found: Mapping[str, Any]) -> str:
    """The table of results, and what was not measured."""
    machine = found["machine"]
    rows, notes = [], []
    for name, tools in found["models"].items():
        for tool in (tool for tool in TOOLS if tool in tools):
            row = tools[tool]
            if "error" in row and isinstance(row["error"], str):
                notes.append(f"- {name}, {tool}: {row['error']}")
            rows.append(_row(name, tool, row))
    head = ("model", "file", "bytes", "kept in fp32", "NaN or infinite", "error", "zero rows", "large", "kernels",
            "attention fused", "scratch MB", "weights MB")  # fmt: skip
    parts = [
        "# Ten architectures in half precision",
        f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}; {machine['gpu']}. Random weights. "
        "No tool was given inputs. The results run with every float16 tensor rounded, as a GPU holds it, on ordinary "
        "inputs, on rows of zeros, and on values a hundred times as large. *NaN or infinite* counts the values of all "
        "three that are finite in the original; the errors are those of the worst output, RMS of the difference over "
        "the RMS of the original, where both are finite. The row *original* has the error if only its weights are "
        "rounded to float16: where that alone is large, no file of half the size is near the original. *Kept in fp32* "
        "counts the nodes that make float32 values, Casts left out. TensorRT-RTX builds for SM89.",
        table(head, rows),
    ]
    for name in MODELS:
        tools = found["models"].get(name, {})
        missing = [tool for tool in TOOLS if tool not in tools]
        if missing:
            notes.append(f"- {name}: not measured yet: {', '.join(missing)}")
    parts += _sensitive(found["models"])
    if notes:
        parts += ["## Without a result", "\n".join(notes)]
    return "\n\n".join(parts) + "\n"


def _sensitive(models: Mapping[str, Any]) -> list[str]:
    """A section on the models that multiply rounding on large values; nothing where there are none."""
    alone = {name: tools.get(ORIGINAL, {}).get("weights alone", {}) for name, tools in models.items()}
    worst = [f"{name} ({sizes['large']:.2g})" for name, sizes in alone.items() if (sizes.get("large") or 0) > NOTICED]
    if not worst:
        return []
    return [
        "## Models that multiply rounding on large values",
        f"On values a hundred times as large, weights in float16 alone move an output by more than {NOTICED:g} of its "
        f"RMS: {', '.join(worst)}. In the segmenter the error first grows at a gate of squeeze and excitation, a "
        "HardSigmoid that opens between -3 and 3 and reads values of up to a thousand there: rounding opens or closes "
        "it. `surgeon fix` keeps nodes in float32 whose values are too large for float16, so that none is lost, and "
        "says that the error does not count on such inputs; on ordinary ones and rows of zeros it does.",
    ]


def _row(name: str, tool: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(row.get("error"), str):
        return (name, tool, *["no result"], *[""] * 9)
    error = row.get("weights alone") or row["error"]
    figures = ["none is finite" if error[which] is None else f"{error[which]:.1e}" for which in SETS]
    lost = str(sum(row["not finite"].values())) if "not finite" in row else ""
    build = row["build"] == "built"
    memory = [f"{row[key] / 1e6:.1f}" if build else "" for key in ("scratch", "weights")]
    kernels = str(row["kernels"]) if build else "not built"
    kept = str(row["in float32"]) if "in float32" in row else ""
    return (name, tool, f"{row['bytes']:,}", kept, lost, *figures, kernels, row.get("fused", ""), *memory)


if __name__ == "__main__":
    raise SystemExit(main())
