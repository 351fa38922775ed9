"""`surgeon golden`: record what a model gives while it is right, and show what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from verify.goldens.index import Golden


@click.group(name="golden")
def command() -> None:
    """Record what a model gives while it is right; `surgeon verify` holds it against that from then on."""


@command.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--inputs", type=click.Path(path_type=Path), help="Arrays by input name (.npz), stored whole.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draw the inputs from this seed instead.")
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME:SHAPE", help="Shape of an input with free dims.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("golden"), show_default=True)
@click.option("--from-torch", is_flag=True, help="Record what stock SAM2 gives, not what the file gives.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="The checkpoint, for --from-torch.")
def record(
    models: tuple[Path, ...],
    inputs: Path | None,
    seed: int,
    shapes: tuple[str, ...],
    output: Path,
    from_torch: bool,
    checkpoint: Path | None,
) -> int:
    """Record MODELS into a golden folder, to be committed beside them.

    Each model is run six times, with 1 and 2 threads, with and without onnxruntime's optimisations and with inputs
    off by one rounding step. How far the outputs part is stored as their tolerance.
    """
    from surgery.cli.isolated import Died, apart
    from verify.errors import SurgeonError
    from verify.inputs.draw import load_npz
    from verify.model.shape_text import parse_static_shape

    given = load_npz(inputs) if inputs is not None else None
    drawn = {"seed": seed, "inputs": given, "sizes": dict(map(parse_static_shape, shapes))}
    for path in models:
        try:
            click.echo(apart(_record, path, output, drawn, from_torch, checkpoint))
        except Died as died:
            raise SurgeonError(f"{path}: {died}; nothing was recorded. Try --inputs, or other sizes") from None
    return 0


def _record(path: Path, output: Path, drawn: dict[str, Any], from_torch: bool, checkpoint: Path | None) -> str:
    """Record one model; returns the line to print."""
    from verify import record_golden

    reference, words = _stock(path, checkpoint) if from_torch else (None, {})
    with _progress(path) as progress:
        golden = record_golden(path, output, reference=reference, made_by=words, progress=progress, **drawn)
    return f"{path} -> {output / golden.data}: {_size(golden)}"


def _stock(path: Path, checkpoint: Path | None) -> tuple[Any, dict[str, str]]:
    from importlib.metadata import version

    from export.check_stock import stock
    from verify.interface.recognise import read_metadata
    from verify.model.read import read_model

    reference = stock(read_metadata(read_model(path)), checkpoint)
    return reference, {"outputs": "stock SAM2", "torch": version("torch"), "sam2": version("sam2")}


class _progress:
    """What is being run, on a terminal; nothing in a log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        import sys

        from rich.console import Console

        self.status = Console(stderr=True).status(f"{self.path}")
        if sys.stderr.isatty():
            self.status.start()
        return lambda words: self.status.update(f"{self.path}: {words}")

    def __exit__(self, *_: object) -> None:
        self.status.stop()


def _size(golden: Golden) -> str:
    kilobytes = (golden.folder / golden.data).stat().st_size / 1000
    outputs = sum(len(case.outputs) for case in golden.cases)
    from verify.report import counted

    return f"{counted(len(golden.cases), 'case')}, {counted(outputs, 'output')}, {kilobytes:.0f} kB"


@command.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--tensors", is_flag=True, help="Also every output, with its tolerance and the reason.")
def show(folders: tuple[Path, ...], tensors: bool) -> int:
    """List the goldens in FOLDERS.

    When none is given: those in ./golden and those that come with surgeon.
    """
    from verify.errors import SurgeonError
    from verify.goldens.index import folders as search
    from verify.goldens.index import read_index

    found = search(folders)
    if not found:
        raise SurgeonError("no goldens in ./golden; record some with: surgeon golden record MODEL")
    for folder in found:
        click.echo(f"{folder}")
        for golden in read_index(folder):
            _show_one(golden, tensors)
    return 0


def _show_one(golden: Golden, tensors: bool) -> None:
    made = golden.made_by
    click.echo(f"  {golden.id}")
    click.echo(f"    {_size(golden)}; outputs of {made.get('outputs', '?')}")
    tools = ("onnx-surgeon", "sam2", "torch", "onnxruntime", "onnx", "numpy")
    click.echo("    made by " + ", ".join(f"{tool} {made[tool]}" for tool in tools if tool in made))
    if not tensors:
        return
    reasons: dict[str, None] = {}
    for case in golden.cases:
        click.echo(f"    case {case.name or '(only one)'}")
        for tensor in case.outputs:
            allowed = dict(tensor.tolerance or {})
            reasons[str(allowed.get("reason", ""))] = None
            number = list(reasons).index(str(allowed.get("reason", ""))) + 1
            bounds = f"RMS error / RMS {allowed['rms_rel']:.1e}, largest {allowed['max_rel']:.1e}"
            click.echo(f"      {tensor.name} {list(tensor.shape)}: {bounds} [{number}]")
    for number, reason in enumerate(reasons, 1):
        click.echo(f"    [{number}] {reason}")
