"""`python -m benchmarks`: surgeon and its peers on the same SAM2 files, in one run, as JSON and as one Markdown page.

    python -m benchmarks --reference DIR --ours-onnxruntime DIR --ours-tensorrt DIR --peer-python PATH [--name tiny]

`--reference` holds the four files NVIDIA's exporter wrote, the other two what `surgeon export` wrote with the same
weights for each target, TensorRT-RTX's in `--ours-tensorrt`. `--ours-mixed` holds what it wrote with `--precision
mixed`; without it those files are made by `surgeon fix`. `--to-lower` holds the float32 files that surgeon and the
converters bring to half precision, best those of `surgeon export --target tensorrt`, whose attention can be fused
then. `--peer-python` is the interpreter of an environment with onnxsim, onnxslim, polygraphy, onnxscript, onnxruntime
and nvidia-modelopt; without it the peers' rows say so.
`--only` runs some of the sections.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import sections, tables

RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the sections asked for, keep what earlier runs found of the others, write both files."""
    options = _parser().parse_args(arguments)
    path = options.results / f"{options.name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if options.only and path.is_file() else {}
    found["machine"] = sections.machine()
    for name in options.only or sections.SECTIONS:
        print(f"{name} ...", flush=True)
        found[name] = sections.SECTIONS[name](options)
        options.results.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    page = tables.page(options.name, found)
    path.with_suffix(".md").write_text(page)
    print(page)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    for folder in ("reference", "ours-onnxruntime", "ours-tensorrt"):
        parser.add_argument(f"--{folder}", type=Path, required=True)
    parser.add_argument("--to-lower", type=Path, help="instead of --ours-tensorrt")
    parser.add_argument("--ours-mixed", type=Path, help="what `surgeon export --precision mixed` wrote")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--name", default="tiny")
    parser.add_argument("--work", type=Path, default=Path("benchmark-files"), help="where files made on the way go")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(sections.SECTIONS))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
