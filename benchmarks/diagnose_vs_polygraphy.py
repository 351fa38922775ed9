"""`surgeon diagnose --repro` beside Polygraphy on ten broken models, in one run: time, truth of the exit code, repro.

    python benchmarks/diagnose_vs_polygraphy.py --polygraphy /path/to/bin/polygraphy --decoder mask_decoder.onnx

Polygraphy runs as a user would run it on a machine without a GPU (POLYGRAPHY_USE_TENSORRT_RTX=1): `inspect capability`
for the list of unsupported nodes, `convert --convert-to trt` for parser and builder, and `debug reduce` with that
command as its check for the smallest failing model. Every command's whole process is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx
from broken_models import Broken, broken

LIMIT = 900


def run(command: list[str], folder: Path) -> tuple[int, float, str]:
    """Exit code, seconds and output of a command."""
    environment = {**os.environ, "POLYGRAPHY_USE_TENSORRT_RTX": "1"}
    started = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
        return done.returncode, time.perf_counter() - started, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return 124, time.perf_counter() - started, ""


def surgeon(case: Broken, folder: Path) -> dict[str, object]:
    """diagnose with a repro of everything it finds."""
    command = [sys.executable, "-m", "surgery", "diagnose", "model.onnx", "--format", "json", "--repro", "repro"]
    code, seconds, output = run(command, folder)
    report = json.loads(output[output.index("{") : output.rindex("}") + 1])["reports"][0]
    named = {finding["node"] for finding in report["findings"] if finding["severity"] == "error"}
    sizes = [path.stat().st_size for path in sorted((folder / "repro").rglob("model.onnx"))]
    nodes = [len(onnx.load(path).graph.node) for path in sorted((folder / "repro").rglob("model.onnx"))]
    return {"code": code, "seconds": seconds, "named": named, "sizes": sizes, "nodes": nodes}


def polygraphy(binary: str, case: Broken, folder: Path) -> dict[str, object]:
    """inspect capability, convert, debug reduce."""
    inspect_code, inspect_seconds, output = run([binary, "inspect", "capability", "model.onnx"], folder)
    summary = output.partition("===== Summary =====")[2]
    named = {name for name in case.places if name in summary}
    convert = [binary, "convert", "model.onnx", "--convert-to", "trt", "-o", "e.engine"]
    convert_code, convert_seconds, _ = run(convert, folder)
    check = [binary, "convert", "polygraphy_debug.onnx", "--convert-to", "trt", "-o", "f.engine"]
    reduce = [binary, "debug", "reduce", "model.onnx", "-o", "reduced.onnx", "--mode=bisect", "--check", *check]
    reduce_code, reduce_seconds, _ = run(reduce, folder)
    reduced = folder / "reduced.onnx"
    size = reduced.stat().st_size if reduced.is_file() else None
    nodes = len(onnx.load(reduced).graph.node) if size is not None else None
    return {
        "codes": (inspect_code, convert_code, reduce_code),
        "seconds": (inspect_seconds, convert_seconds, reduce_seconds),
        "named": named,
        "size": size,
        "nodes": nodes,
    }


def row(case: Broken, ours: dict, theirs: dict) -> str:  # type: ignore[type-arg]
    """One line of the table."""
    wanted = len(case.places)
    peer_seconds = " + ".join(f"{seconds:.1f}" for seconds in theirs["seconds"])
    peer_repro = f"{theirs['size']} ({theirs['nodes']} nodes)" if theirs["size"] is not None else "none"
    our_repro = ", ".join(f"{size} ({nodes})" for size, nodes in zip(ours["sizes"], ours["nodes"], strict=True))
    return (
        f"| {case.name} | {len(ours['named'] & case.places)} of {wanted} | {len(theirs['named'])} of {wanted} "
        f"| {ours['seconds']:.1f} | {peer_seconds} | {ours['code']} | {'/'.join(map(str, theirs['codes']))} "
        f"| {our_repro or 'none'} | {peer_repro} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polygraphy", default=shutil.which("polygraphy") or "polygraphy")
    parser.add_argument("--decoder", type=Path, help="a SAM2 mask decoder with LayerNormalization nodes")
    parser.add_argument("--only", default="", help="part of the name of the models to run")
    options = parser.parse_args()
    head = [
        "model",
        "places named: surgeon",
        "Polygraphy inspect",
        "seconds: surgeon",
        "Polygraphy inspect + convert + reduce",
    ]
    head += ["exit code: surgeon", "Polygraphy inspect/convert/reduce", "repro bytes (nodes): surgeon", "Polygraphy"]
    print("| " + " | ".join(head) + " |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in broken(options.decoder):
        if options.only not in case.name:
            continue
        with tempfile.TemporaryDirectory() as held:
            mine, peer = Path(held) / "surgeon", Path(held) / "polygraphy"
            for folder in (mine, peer):
                folder.mkdir()
                onnx.save(case.model, folder / "model.onnx")
            print(row(case, surgeon(case, mine), polygraphy(options.polygraphy, case, peer)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
