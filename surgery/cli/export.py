"""`surgeon export`: from stock SAM2 to four ONNX files in one folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.judge import Verdict
    from export.pipeline import Exported, Request
    from export.weights import Weights

MOST_STAYED = 8  # nodes named for each module in text


@click.command(name="export")
@click.argument("model_type", metavar="tiny|small|base_plus|large")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder [checkpoints/MODEL_TYPE].")
@click.option("--version", default="2.1", show_default=True, help="SAM2 version: 2.1 or 2.0.")
@click.option("--target", default="tensorrt-rtx", show_default=True, help="tensorrt-rtx, tensorrt or onnxruntime.")
@click.option("--image-size", default=1024, show_default=True, help="Pixels on a side, a multiple of 32.")
@click.option("--batch", default="1", show_default=True, help="Objects in one call: 1, N or dynamic.")
@click.option("--semantics", default="sam2", show_default=True, help="sam2 or masktracker.")
@click.option("--opset", default=18, show_default=True, help="ONNX opset.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, fp16, bf16 or mixed; chosen by error.")
@click.option("--max-error", default=0.01, show_default=True, help="Most an output may move by it, of its RMS.")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Folder of MODULE.npz to choose precision on, instead of a photo through stock SAM2.",
)
@click.option("--raw", is_flag=True, help="Keep what torch wrote in OUTPUT/raw.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Use this file instead of downloading.")
@click.option("--trust-checkpoint", is_flag=True, help="Take a file whose SHA-256 is not known.")
@click.option(
    "--weights", default="official", show_default=True, help="official, reference, or auto (reference when offline)."
)
@click.option("--force", is_flag=True, help="Export again what is there already.")
@click.option("--check", is_flag=True, help="Check interface, parity and TensorRT, and print a table.")
@click.option("--deepstream", type=click.Path(path_type=Path), help="Copy the four files into this folder.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="Of the result.")
def command(
    model_type: str, output: Path | None, style: str, check: bool, deepstream: Path | None, **given: Any
) -> int:
    """Export the four modules of SAM2 MODEL_TYPE: tiny, small, base_plus or large.

    The checkpoint is downloaded to checkpoints/ and its SHA-256 checked. With reference weights the folder's name
    ends in -reference, and the files say so in their metadata: they are for tests and track nothing.
    """
    from export.model import require

    require()
    from export.half import Halves
    from export.pipeline import Request, export_all

    request = Request(
        model_type,
        given["version"],
        given["image_size"],
        _batch(given["batch"]),
        given["semantics"],
        given["target"],
        given["opset"],
        given["precision"],
    )
    request.check()
    weights = _weights(request, given)
    click.echo(f"weights: {weights.note}", err=True)
    folder = output or Path("checkpoints") / (model_type + ("-reference" if weights.reference else ""))
    done, model = export_all(
        request,
        weights,
        folder,
        keep_raw=given["raw"],
        force=given["force"],
        trust=given["trust_checkpoint"],
        halves=Halves(given["max_error"], given["calibrate"]),
        started=lambda module: click.echo(f"exporting {module} ...", err=True),
    )
    verdicts = _judged(done, model, request) if check else []
    _show(style, done, verdicts, weights)
    if deepstream is not None:
        _copy(done, deepstream)
    elif style == "text":
        _say_next(model_type)
    return int(any(c.status == "fail" for v in verdicts for c in v.checks))


def _judged(done: Sequence[Exported], model: Any, request: Request) -> list[Verdict]:
    from export.judge import judge

    click.echo("running stock SAM2 and the files on a photo ...", err=True)

    def started(module: str) -> None:
        click.echo(f"checking {module} ...", err=True)

    return judge(done, model, request.semantics, _objects(request), started)


def _say_next(model_type: str) -> None:
    if shutil.which("surgeon") is None:
        click.echo(f"next: put surgeon on the path: . {Path(sys.prefix) / 'bin' / 'activate'}")
    click.echo(f"next: surgeon export {model_type} --deepstream DIR copies the files into a DeepStream tracker folder")


def _batch(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _objects(request: Request) -> int:
    return request.batch if isinstance(request.batch, int) else 5


def _weights(request: Request, given: dict[str, Any]) -> Weights:
    from export.model import check_choice
    from export.weights import SOURCES, Weights, find_weights

    check_choice("weights", given["weights"], SOURCES)
    if given["checkpoint"] is not None:
        return Weights("file", f"{given['checkpoint']}", given["checkpoint"])
    with _progress() as progress:
        return find_weights(
            request.model_type, request.version, Path("checkpoints"), source=given["weights"], progress=progress
        )


class _progress:
    """A progress bar on a terminal, nothing in a log."""

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = ("checkpoint", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self.bar.start()
        task = self.bar.add_task("download", total=None)
        return lambda done, total: self.bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def _show(style: str, done: Sequence[Exported], verdicts: Sequence[Verdict], weights: Weights) -> None:
    if style == "json":
        rows = [
            {"module": d.module, "file": str(d.path), "nodes_raw": d.nodes_raw, "nodes": d.nodes, "seconds": d.seconds}
            for d in done
        ]
        for row, item in zip(rows, done, strict=True):
            if item.precision is not None:
                row["precision"] = {"message": item.precision.message, **item.precision.figures}
        for row, verdict in zip(rows, verdicts, strict=False):
            row["checks"] = {c.name: {"status": c.status, "message": c.message, **c.figures} for c in verdict.checks}
        click.echo(json.dumps({"weights": weights.note, "modules": rows}, indent=2))
        return
    from rich.table import Table

    from surgery.cli.console import console

    table = Table(title=str(done[0].path.parent) if done else None)
    table.add_column("module", no_wrap=True)
    for heading in (
        "nodes",
        "seconds",
        *(("precision",) if any(item.precision for item in done) else ()),
        *(("interface", "parity with stock", "TensorRT") if verdicts else ()),
    ):
        table.add_column(heading, overflow="fold")
    for index, item in enumerate(done):
        seconds = "reused" if item.reused else f"{item.seconds:.1f}"
        cells = [f"{c.status}: {c.message}" for c in verdicts[index].checks] if verdicts else []
        if any(other.precision for other in done):
            cells.insert(0, item.precision.message if item.precision else "")
        table.add_row(item.module, f"{item.nodes_raw} -> {item.nodes}", seconds, *cells)
    console().print(table)
    for item in done:
        stayed = item.precision.figures["stayed"] if item.precision else []
        for node in stayed[:MOST_STAYED]:
            click.echo(f"{item.module}: {node['op']} '{node['node']}' stays in fp32: {node['why']}")
        if len(stayed) > MOST_STAYED:
            click.echo(f"{item.module}: and {len(stayed) - MOST_STAYED} more; --format json lists all")


def _copy(done: Sequence[Exported], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for item in done:
        shutil.copyfile(item.path, folder / item.path.name)
    click.echo(f"copied {len(done)} files to {folder}")
