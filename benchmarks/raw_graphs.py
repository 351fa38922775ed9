"""The four modules of SAM2 as torch's two exporters write them, through `surgeon fix` and through the peers.

    python -m benchmarks.raw_graphs [tiny] --peer-python PATH

Reference weights, 1024 pixels, one object. What a first run has found stands in raw_tiny.json and is not
measured again; `--only` measures the named graphs anew.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import sections, side_by_side
from benchmarks.frames import MODULES

RESULTS = Path(__file__).parent / "results"
EXPORTERS = {"new": True, "old": False}  # torch.onnx.export(dynamo=...)


def main(arguments: list[str] | None = None) -> int:
    """Export what is missing, measure it, write both files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raw_graphs", description=__doc__.splitlines()[0])
    parser.add_argument("model_type", nargs="?", default="tiny")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/raw"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args(arguments)
    path = options.results / f"raw_{options.model_type}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    found |= {"machine": sections.machine(), "model_type": options.model_type}
    sources = export(options.model_type, options.work)
    side_by_side.measure(sources, partial(_feeds, options.work), options, found, path)
    path.with_suffix(".md").write_text(page(found))
    print(page(found))
    return 0


def export(model_type: str, work: Path) -> dict[str, Path]:
    """Files of both exporters by name, and beside them inputs of each module; nothing is run on them yet."""
    files = {
        f"{module}, {exporter} exporter": work / f"{module}.{exporter}.onnx"
        for exporter in EXPORTERS
        for module in MODULES
    }
    if all(file.is_file() for file in files.values()):
        return files
    from export.modules.wrap import wrap
    from export.onnx_file.to_onnx import example_inputs, to_onnx
    from export.weights.choose import apply, find_weights
    from export.weights.sam2_model import build
    from verify.interface.spec import load_spec

    model = build(model_type)
    apply(model, find_weights(model_type, "2.1", work, source="reference"), model_type, "2.1")
    specs = load_spec("sam2", batch=1)
    for module in MODULES:
        wrapper = wrap(module, model)
        for exporter, dynamo in EXPORTERS.items():
            to_onnx(wrapper, specs[module], work / f"{module}.{exporter}.onnx", dynamo=dynamo)
        feeds = {name: value.numpy() for name, value in example_inputs(specs[module]).items()}
        np.savez(work / f"{module}.npz", **feeds)
    return files


def _feeds(work: Path, name: str) -> dict[str, Any]:
    return dict(np.load(work / f"{name.split(',')[0]}.npz"))


def page(found: dict[str, Any]) -> str:
    """What fix did with each graph, and its nodes and seconds beside the peers'."""
    machine, models = found["machine"], found["models"]
    parts = [
        f"# SAM2.1 {found['model_type']} as torch exports it",
        f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}.",
        side_by_side.ABOUT,
        "## surgeon fix, with its guard",
        side_by_side.ours_table(models),
        "## Beside the peers: nodes (seconds)",
        side_by_side.peers_table(models),
        side_by_side.summary(models),
        side_by_side.at_once(found),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
