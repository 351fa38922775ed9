"""`surgeon golden`: record the outputs of correct models; list, show and remove the recorded goldens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verify.device.trtexec import PRECISIONS

if TYPE_CHECKING:
    from verify.goldens.index import Golden


@click.group(name="golden")
def command() -> None:
    """Record the outputs of a correct model; `surgeon verify` compares the model with them later."""


@command.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--inputs", type=click.Path(path_type=Path), help="Inputs to run on (.npz); the golden stores them.")
@click.option("--seed", type=int, help="Seed of random inputs.  [default: 1]")
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME:SHAPE", help="Shape of a dynamic input.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: the nearest golden, else ./golden]"
)
@click.option("--from-torch", is_flag=True, help="Record the outputs of stock SAM2 instead of the file's.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Checkpoint for --from-torch.")
def record(
    models: tuple[Path, ...],
    inputs: Path | None,
    seed: int | None,
    shapes: tuple[str, ...],
    output: Path | None,
    from_torch: bool,
    checkpoint: Path | None,
) -> int:
    """Record MODELS into a golden folder, to be committed beside them.

    Each model is run in several cases, each with 1 and 2 threads, with and without onnxruntime's optimisations and with
    inputs off by one rounding step. How much the outputs differ is stored as their tolerance. Then small faults are
    planted in copies of the model, and the golden stores which of them it catches. A model that was recorded before
    keeps its seed, sizes and inputs unless others are given.
    """
    from surgery.cli.console import fitted
    from surgery.isolated import run_isolated
    from verify.errors import SurgeonError
    from verify.goldens.find import default_folder
    from verify.inputs.draw import load_npz
    from verify.model.shape_text import parse_static_shape
    from verify.report import exit_code, not_checked

    given = load_npz(inputs) if inputs is not None else None
    drawn = {"seed": seed, "inputs": given, "sizes": dict(map(parse_static_shape, shapes))}
    folder = output or default_folder()
    failed = []
    for path in models:
        try:
            click.echo(fitted(run_isolated(_record, path, folder, drawn, from_torch, checkpoint)))
        except SurgeonError as error:
            message = _why(path, error)
            failed.append(not_checked(path, error))
            click.echo(f"surgeon: {message}", err=True)
    if failed and len(models) > 1:
        click.echo(f"surgeon: {len(failed)} of {len(models)} models were not recorded", err=True)
    return exit_code(failed)


@command.command(short_help="Write a folder for a GPU machine that has trtexec only.")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write; new or empty.")
@click.option(
    "--target",
    default="tensorrt",
    show_default=True,
    help="TensorRT there: tensorrt-8.6 to tensorrt-11.1, deepstream-9.1.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Precision of the engine that trtexec builds.",
)
@click.option("--golden", "goldens", multiple=True, type=click.Path(path_type=Path), help="Folder of goldens.")
def trtexec(models: tuple[Path, ...], output: Path, target: str, precision: str, goldens: tuple[Path, ...]) -> int:
    """Write a folder that builds and runs MODELS on a GPU machine, with trtexec alone.

    The folder holds the models, the inputs of their goldens, and run.sh. Copy the folder there, run run.sh, copy the
    folder back, then:
    surgeon verify MODELS --device-run FOLDER
    """
    from verify.device.prepare.folder import write_folder
    from verify.report import counted

    with _progress(output) as progress:
        made = write_folder(
            models, output, tensorrt=_version(target), precision=precision, goldens=goldens, progress=progress
        )
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    for model in made.models:
        click.echo(f"{output / model.folder}: {model.file}, {counted(len(model.cases), 'case')}, {model.precision}")
    click.echo(
        f"{output}: {size / 1e6:.1f} MB for TensorRT {made.tensorrt}; run {output / 'run.sh'} on the GPU machine"
    )
    return 0


def _version(target: str) -> str:
    """TensorRT version of a target; trtexec of 8.6 to 10.0 is known too, though no table of operators is."""
    import re

    from surgery.targets import load_target
    from verify.errors import SurgeonError

    old = re.fullmatch(r"tensorrt-((?:8\.6|9\.\d+|10\.\d+|11(?:\.\d+)?))", target)
    if old:
        return old[1]
    found = load_target(target)
    if found.family != "tensorrt":
        raise SurgeonError(
            f"--target {target}: trtexec belongs to TensorRT; choose tensorrt-10.9 or deepstream-9.1, for example"
        )
    return found.version


def _why(path: Path, error: Exception) -> str:
    from surgery.isolated import Died

    if isinstance(error, Died):
        return f"{path}: {error}; nothing was recorded. Try --inputs, or other sizes"
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _record(path: Path, folder: Path, drawn: dict[str, Any], from_torch: bool, checkpoint: Path | None) -> str:
    """Record one model; returns the line to print."""
    from verify import record_golden

    reference, words = _stock(path, checkpoint) if from_torch else (None, {})
    with _progress(path) as progress:
        made = record_golden(path, folder, reference=reference, made_by=words, progress=progress, **drawn)
    changes = f"; {made.changes}" if made.changes else ""
    return "\n".join([f"{path} -> {folder / made.golden.data}: {_size(made.golden)}{changes}", *_quality(made.golden)])


def _quality(golden: Golden, most: int = 5) -> list[str]:
    """Lines that say which planted faults a golden catches, and which faults its inputs cannot show."""
    from verify.goldens.quality.sensitivity import describe, slipped

    def lines(label: str, entries: Sequence[str]) -> list[str]:
        more = f"{label}: {len(entries) - most} more; see surgeon golden show --tensors"
        return [f"{label}: {entry}" for entry in entries[:most]] + ([more] if len(entries) > most else [])

    found = [describe(golden.sensitivity)] if golden.sensitivity else []
    found += lines("not caught", slipped(golden.sensitivity))
    return [f"  {line}" for line in found + lines("not covered", golden.coverage) + lines("note", golden.notes)]


def _stock(path: Path, checkpoint: Path | None) -> tuple[Any, dict[str, str]]:
    from importlib.metadata import version

    from export.check_stock import stock
    from verify.interface.recognise import read_metadata
    from verify.model.read import read_model

    reference = stock(read_metadata(read_model(path)), checkpoint)
    return reference, {"outputs": "stock SAM2", "torch": version("torch"), "sam2": version("sam2")}


class _progress:
    """Shows progress on a terminal; prints nothing to a log."""

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
    from verify.report import counted

    data = golden.folder / golden.data
    kilobytes = f"{data.stat().st_size / 1000:.0f} kB" if data.is_file() else "its data is missing"
    outputs = len({output.name for case in golden.cases for output in case.outputs})
    return f"{counted(len(golden.cases), 'case')}, {counted(outputs, 'output')}, {kilobytes}"


def _folders(given: tuple[Path, ...]) -> list[Path]:
    """The folders given, else the default folders; SurgeonError where there is none."""
    from verify.errors import SurgeonError
    from verify.goldens.find import folders

    found = folders(given)
    if not found:
        raise SurgeonError("no goldens in ./golden; record some with: surgeon golden record MODEL")
    return found


@command.command(name="list", short_help="List goldens, and say which have no model any more.")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
def list_(folders: tuple[Path, ...]) -> int:
    """List the goldens in FOLDERS, one a line, and say which have no model any more.

    Without FOLDERS: those in the nearest golden folder and those that come with surgeon.
    """
    from verify.goldens.find import is_orphan
    from verify.goldens.index import read_index

    for folder in _folders(folders):
        click.echo(f"{folder}")
        for golden in read_index(folder):
            gone = f"; its model is gone, remove it with: surgeon golden rm {golden.id}" if is_orphan(golden) else ""
            click.echo(f"  {golden.id}: {_size(golden)}{gone}")
    return 0


@command.command(short_help="Remove goldens, named by id, model or data file.")
@click.argument("names", nargs=-1, required=True)
@click.option("--golden", "folder", type=click.Path(path_type=Path), help="Folder.  [default: the nearest golden]")
def rm(names: tuple[str, ...], folder: Path | None) -> int:
    """Remove the goldens NAMES, each named by its id, its model or its data file."""
    from verify.goldens.find import default_folder, folders, select
    from verify.goldens.index import read_index, write_index

    place = folders([folder or default_folder()])[0]
    goldens = read_index(place)
    removed = [select(goldens, name, place) for name in dict.fromkeys(names)]
    kept = [golden for golden in goldens if golden not in removed]
    write_index(place, kept)
    for golden in removed:
        if all(golden.data != other.data for other in kept):
            (place / golden.data).unlink(missing_ok=True)
        click.echo(f"removed {golden.id} from {place}")
    return 0


@command.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--tensors", is_flag=True, help="Also show every output with its tolerance and the reason.")
def show(folders: tuple[Path, ...], tensors: bool) -> int:
    """Show how each golden in FOLDERS was recorded.

    Without FOLDERS: those in the nearest golden folder and those that come with surgeon.
    """
    from verify.goldens.index import read_index

    for folder in _folders(folders):
        click.echo(f"{folder}")
        for golden in read_index(folder):
            _show_one(golden, tensors)
    return 0


def _show_one(golden: Golden, tensors: bool) -> None:
    from surgery.cli.console import wrapped

    made = golden.made_by
    click.echo(f"  {golden.id}")
    click.echo(f"    {_size(golden)}; outputs of {made.get('outputs', '?')}")
    tools = ("onnx-surgeon", "sam2", "torch", "onnxruntime", "onnx", "numpy")
    for line in _quality(golden, len(golden.coverage) + len(golden.notes) + 50 if tensors else 5):
        click.echo("\n".join(wrapped(line.strip(), " " * 4, " " * 6)))
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
        click.echo("\n".join(wrapped(f"[{number}] {reason}", " " * 4, " " * 8)))
