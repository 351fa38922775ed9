"""`python -m benchmarks.groups`: surgeon and its peers on the same groups of models, as JSON and as one page.

    python -m benchmarks.groups --peer-python PATH --reference-tiny DIR --reference-large DIR --raw DIR --foreign DIR

`--peer-python` is the interpreter of an environment with onnxsim, onnxslim, and polygraphy with onnx-graphsurgeon;
their commands lie beside it. The reference folders hold the four files that NVIDIA's exporter wrote. What torch's
exporters write of SAM2 is made in `--raw` if it is not there. `--foreign` gets models out of packages on PyPI, exports
of torch modules if `--torch-python` has torch, onnxscript, torchvision, timm and transformers, and both after
onnxruntime's quantizer.

A run has two steps, and `--step` picks one: `times` needs a machine that does nothing else; `results` compares the
files with the originals and builds the quantized ones, under any load. What a first run has found is kept in
groups.json: `--anew` measures tools anew, and what is known of a file counts again if a tool leaves the same one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import sections
from benchmarks.groups import page, results, sources, times, tools
from benchmarks.groups.sources import Group

RESULTS = Path(__file__).parents[1] / "results"
STEPS = {"times": times.measure, "results": results.add}
VERSIONS = (
    "import importlib.metadata as m, json; names = ('onnx', 'onnxsim', 'onnxslim', 'polygraphy'); "
    "print(json.dumps({d.name: d.version for d in m.distributions() if d.name in names}))"
)


def main(arguments: list[str] | None = None) -> int:
    """Gather the groups, take the steps, write both files."""
    options = _parser().parse_args(arguments)
    path = options.results / "groups.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"groups": {}}
    found |= {"machine": sections.machine(), "packages": sources.packages(options.foreign)}
    found["peers"] = _versions(options.peer_python) or found.get("peers", {})
    groups = sources.gather(options)
    _prepare(groups, found["groups"])
    if options.anew is not None:
        timed_only = (*tools.TIMED, tools.FOR_ONNXRUNTIME, tools.FUNCTION) if options.step == ["times"] else ()
        times.forget(groups, found["groups"], options.anew or timed_only)

    def save() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")

    for step in options.step or STEPS:
        STEPS[step](groups, options, found["groups"], save)
    save()
    text = page.page(found)
    path.with_suffix(".md").write_text(text)
    print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--torch-python", type=Path)
    for folder in ("reference-tiny", "reference-large", "raw", "foreign"):
        parser.add_argument(f"--{folder}", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(sources.GROUPS), default=[], help="groups")
    parser.add_argument("--step", nargs="*", choices=list(STEPS), default=[])
    every = [*tools.judged("quantized"), tools.FUNCTION]
    parser.add_argument("--anew", nargs="*", choices=every, help="tools; without a name all that the steps run")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each tool, of which the least counts")
    parser.add_argument("--work", type=Path, default=Path("benchmark-files/groups"), help="where the tools' files go")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser


def _versions(python: Path | None) -> dict[str, str]:
    """Versions of the peers."""
    if python is None:
        return {}
    said = subprocess.run([str(python.absolute()), "-c", VERSIONS], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said))


def _prepare(groups: dict[str, Group], found: dict[str, Any]) -> None:
    """A row for each model, in the order of the sources, with what earlier runs found of it."""
    for name, group in groups.items():
        old = found.get(name, {"models": {}, "at once": []})
        if not group.sources and old["models"]:  # found by a run that was given the group
            continue
        rows = {}
        for model, source in group.sources.items():
            row = old["models"].get(model, {"times": {}, "files": {}, "results": {}, "builds": {}})
            rows[model] = row | {"original": tools.describe(source.path) if source.path.is_file() else {}}
        found[name] = {**old, "title": group.title, "missing": group.missing, "models": rows}


if __name__ == "__main__":
    raise SystemExit(main())
