"""`surgeon evaluate`: J, F and J&F of the exported files over a data set."""

from __future__ import annotations

import json
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from export.evaluation.sides import Side
    from verify.render.tables import Table

MOST_OBJECTS = 30  # rows of the table of objects on the screen


@click.command(name="evaluate")
@click.argument("dataset", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--models", required=True, type=click.Path(path_type=Path), help="Folder of the ONNX files.")
@click.option("--against", multiple=True, metavar="DIR|stock", help="Another folder of files, or SAM2 in PyTorch.")
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True), help="Trained weights of --against stock.")
@click.option(
    "--prompt",
    type=click.Choice(["mask", "box"]),
    default="mask",
    show_default=True,
    help="What marks an object.",
)
@click.option("--videos", type=click.Path(path_type=Path, exists=True), help="A text file with one video a line.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes on this machine.")
@click.option("--ray", metavar="ADDRESS", help="A Ray cluster (host:port, or auto) that takes one video a task.")
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="Where onnxruntime runs the files.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads a video; without it, cores / workers.")
def command(dataset: Path, models: Path, output: Path, **options: Any) -> int:
    """Score the files in --models over DATASET, a folder in the layout of DAVIS or SA-V.

    Each object is marked in its first frame and tracked through the video; J (region), F (boundary) and J&F follow
    the definitions of DAVIS 2017. The results are OUTPUT/results.json, OUTPUT/report.html with the worst frames,
    and a file for each video. The same command again continues where a run was broken off.
    """
    if options["ray"] and options["workers"] > 1:
        raise click.UsageError("--ray and --workers exclude each other; a cluster has workers of its own")
    from export.evaluation.datasets import open_dataset
    from export.evaluation.run import evaluate, executor, summary
    from export.evaluation.sides import find_sides
    from export.evaluation.video import Task
    from export.tracking.run import progress_bar
    from export.tracking.sinks import check_folder

    check_folder(output)
    execute = executor(options["workers"], options["ray"])
    sides = find_sides(models, options["against"], options["checkpoint"], options["provider"])
    for side in sides:
        _require_prompts(side, options["prompt"])
    data = open_dataset(dataset.resolve(), options["videos"])
    threads = options["threads"] or (1 if options["ray"] else max(1, (cpu_count() or 1) // options["workers"]))
    tasks = [Task(side, video, options["prompt"], threads) for side in sides for video in data.videos]
    with progress_bar(len(tasks), ("evaluating", "evaluated", "videos")) as progress:
        evaluation = evaluate(tasks, output, execute, progress)
    if evaluation.reused:
        click.echo(f"{evaluation.reused} of {len(tasks)} videos are from an earlier run in {output}", err=True)
    found = summary(data, sides, options["prompt"], evaluation)
    _write(found, evaluation.records, output)
    _show(found, output)
    return 1 if evaluation.lost else 0


def _require_prompts(side: Side, prompt: str) -> None:
    """A mask as a prompt needs the decoder for prompts, except in the stock predictor."""
    from export.tracking.decoding import PROMPTS_FILE
    from verify.errors import SurgeonError

    if prompt == "mask" and not side.stock and not (side.folder / PROMPTS_FILE).is_file():
        raise SurgeonError(
            f"{side.folder}: no {PROMPTS_FILE} in it, which --prompt mask needs; surgeon export --prompts writes it, "
            "and --prompt box does without it"
        )


def _write(found: dict[str, Any], records: list[dict[str, Any]], output: Path) -> None:
    from export.evaluation.page import write_page
    from verify.atomic_write import write_whole

    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / "results.json", (json.dumps(found, indent=2) + "\n").encode())
    write_page(found, records, output / "report.html")


def _show(found: dict[str, Any], output: Path) -> None:
    from export.evaluation.page import notes, objects_table, totals_table

    objects = objects_table(found)
    if len(objects.rows) <= MOST_OBJECTS:
        _print(objects)
    _print(totals_table(found))
    for note in notes(found):
        click.echo(note, err=True)
    click.echo(f"wrote {output / 'results.json'} and {output / 'report.html'}")


def _print(table: Table) -> None:
    from rich.table import Table as RichTable

    from surgery.cli.console import console
    from verify.render.text import visible

    shown = RichTable(box=None, pad_edge=False)
    for column in table.columns:
        shown.add_column(column.name, justify="right" if column.kind == "number" else "left")
    for row in table.rows:
        shown.add_row(*(visible(cell) for cell in row))
    console().print(shown)
    click.echo()
