"""`surgeon export`: from stock SAM2 to four ONNX files in one folder."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.check import Verdict
    from export.pipeline import Exported, Request
    from export.weights.choose import Weights
    from verify.report import Report

MOST_FP32_NODES = 8  # nodes listed for each module in text


@click.command(name="export")
@click.argument("model_type", metavar="tiny|small|base_plus|large")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder to write to.  [default: checkpoints/MODEL_TYPE]"
)
@click.option("--version", default="2.1", show_default=True, help="SAM2 version: 2.1 or 2.0.")
@click.option(
    "--target",
    default="tensorrt-rtx",
    show_default=True,
    help="tensorrt-rtx, deepstream-8.0, tensorrt, onnxruntime ...",
)
@click.option("--image-size", default="1024", show_default=True, help="Pixels on a side, a multiple of 32.")
@click.option("--batch", default="1", show_default=True, help="Objects in one call: 1, N or dynamic.")
@click.option(
    "--prompted-frames",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Prompted frames of an object that TensorRT profiles and trtexec commands allow for.",
)
@click.option("--semantics", default="sam2", show_default=True, help="sam2 or masktracker.")
@click.option("--opset", default=18, show_default=True, help="ONNX opset; 17 for a DeepStream target.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="fp32, fp16, bf16 or mixed (chosen node by node by its error).",
)
@click.option(
    "--max-error",
    default=0.01,
    show_default=True,
    help="Largest error of an output in half precision, relative to its RMS.",
)
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Folder of MODULE.npz inputs to measure half precision on, instead of a photo.",
)
@click.option("--prompts", is_flag=True, help="Also export mask_decoder_prompts.onnx: corrections and mask prompts.")
@click.option("--only", multiple=True, metavar="MODULE", help="Export this module alone; may be given several times.")
@click.option("--raw", is_flag=True, help="Also keep the files that torch wrote, in OUTPUT/raw.")
@click.option(
    "--checkpoint", metavar="FILE|NAME", help="Use this file, or facebook/sam2.1-hiera-... from Hugging Face's cache."
)
@click.option("--trust-checkpoint", is_flag=True, help="Accept a checkpoint whose SHA-256 is not known.")
@click.option(
    "--weights", default="official", show_default=True, help="official, reference, or auto (reference when offline)."
)
@click.option("--force", is_flag=True, help="Export again even if the files are there already.")
@click.option("--check", is_flag=True, help="Check interface, parity and TensorRT, and print a table.")
@click.option(
    "--deepstream",
    type=click.Path(path_type=Path),
    help="Export for DeepStream (--target tensorrt), and copy the files here.",
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="Format of the result.")
def command(
    model_type: str, output: Path | None, style: str, check: bool, deepstream: Path | None, **given: Any
) -> int:
    """Export the four modules of SAM2 MODEL_TYPE: tiny, small, base_plus or large.

    The checkpoint is downloaded to checkpoints/ and its SHA-256 checked. With reference weights the folder's name
    ends in -reference, and the files say so in their metadata: such files are for tests and cannot track objects.
    """
    from export.weights.sam2_model import require

    require()
    from export.pipeline import export_all
    from export.precision import PrecisionOptions

    if deepstream is not None and _is_default("target"):
        given["target"] = "tensorrt"  # DeepStream lowers float32 files itself, and only full TensorRT does that
    if given["target"].startswith("deepstream-") and _is_default("opset"):
        given["opset"] = 17  # NVIDIA's exporter for DeepStream writes it, and the TensorRT of every release takes it
    request = _request(model_type, given)
    weights = _weights(request, given)
    click.echo(f"weights: {weights.note}", err=True)
    done, model = export_all(
        request,
        weights,
        output or Path("checkpoints") / (model_type + ("-reference" if weights.reference else "")),
        keep_raw=given["raw"],
        force=given["force"],
        trust=given["trust_checkpoint"],
        precision_options=PrecisionOptions(given["max_error"], given["calibrate"]),
        started=lambda module: click.echo(f"exporting {module} ...", err=True),
    )
    verdicts = _judged(done, model, request) if check else []
    _show(style, done, verdicts, weights)
    if deepstream is not None:
        _copy(done, deepstream)
    elif style == "text":
        _show_next_step(model_type)
    return int(any(c.status == "fail" for v in verdicts for c in v.checks))


def _is_default(option: str) -> bool:
    """Whether the option has its default value because the user did not give it."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.DEFAULT


def _request(model_type: str, given: dict[str, Any]) -> Request:
    """The request that the options make; SurgeonError where it cannot be exported."""
    from export.pipeline import Request
    from export.weights.sam2_model import parse_image_size

    batch = int(given["batch"]) if given["batch"].isdigit() else given["batch"]
    fields = ("version", "image_size", "semantics", "target", "opset", "precision", "prompted_frames", "prompts")
    chosen = {name: given[name] for name in fields} | {"image_size": parse_image_size(given["image_size"])}
    request = Request(model_type, batch=batch, only=tuple(given["only"]), **chosen)
    request.check()
    return request


def _judged(done: Sequence[Exported], model: Any, request: Request) -> list[Verdict]:
    from export.check import judge

    click.echo("running stock SAM2 and the files on a photo ...", err=True)

    def started(module: str) -> None:
        click.echo(f"checking {module} ...", err=True)

    return judge(done, model, request.semantics, _objects(request), started)


def _show_next_step(model_type: str) -> None:
    if shutil.which("surgeon") is None:
        click.echo(f"next: put surgeon on the path: . {Path(sys.prefix) / 'bin' / 'activate'}")
    click.echo(f"next: surgeon export {model_type} --deepstream DIR exports for DeepStream into a tracker folder")


def _objects(request: Request) -> int:
    return request.batch if isinstance(request.batch, int) else 5


def _weights(request: Request, given: dict[str, Any]) -> Weights:
    from export.weights.choose import SOURCES, Weights, find_weights
    from export.weights.sam2_model import check_choice

    check_choice("weights", given["weights"], SOURCES)
    if given["checkpoint"] is not None:
        path = _checkpoint(given["checkpoint"], request)
        return Weights("file", f"{path}", path)
    with _progress() as progress:
        return find_weights(
            request.model_type, request.version, Path("checkpoints"), source=given["weights"], progress=progress
        )


def _checkpoint(given: str, request: Request) -> Path:
    """The file that --checkpoint names: a path, or a repository of Hugging Face that is in its cache."""
    from export.weights import hugging_face
    from verify.errors import SurgeonError

    if not hugging_face.is_name(given):
        return Path(given)
    path, model_type, version = hugging_face.find(given)
    if (model_type, version) != (request.model_type, request.version):
        raise SurgeonError(f"{given} is SAM{version} {model_type}; use surgeon export {model_type} --version {version}")
    return path


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
        rows = [_row(item, verdict) for item, verdict in zip_longest(done, verdicts)]
        click.echo(json.dumps({"weights": weights.note, "modules": rows}, indent=2))
        return
    from verify.render import show

    show([_report(item, verdict) for item, verdict in zip_longest(done, verdicts)])
    for item in done:
        stayed = item.precision.figures["stayed"] if item.precision else []
        for node in stayed[:MOST_FP32_NODES]:
            click.echo(f"{item.module}: {node['op']} '{node['node']}' stays in fp32: {node['why']}")
        if len(stayed) > MOST_FP32_NODES:
            click.echo(f"{item.module}: and {len(stayed) - MOST_FP32_NODES} more; --format json lists all")


def _row(item: Exported, verdict: Verdict | None) -> dict[str, Any]:
    row: dict[str, Any] = {"module": item.module, "file": str(item.path), "nodes_raw": item.nodes_raw}
    row |= {"nodes": item.nodes, "seconds": item.seconds}
    if item.precision is not None:
        row["precision"] = {"message": item.precision.message, **item.precision.figures}
    if verdict is not None:
        row["checks"] = {c.name: {"status": c.status, "message": c.message, **c.figures} for c in verdict.checks}
    return row


def _report(item: Exported, verdict: Verdict | None) -> Report:
    """One file as `surgeon verify` shows it."""
    from verify.report import Check, Report

    took = "reused" if item.reused else f"{item.seconds:.1f} s"
    checks = [Check("export", "pass", f"{item.nodes_raw} -> {item.nodes} nodes, {took}")]
    checks += [item.precision] if item.precision else []
    if verdict is not None:
        checks += [verdict.interface, replace(verdict.parity, name="stock SAM2"), verdict.tensorrt]
    return Report(str(item.path), checks)


def _copy(done: Sequence[Exported], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for item in done:
        shutil.copyfile(item.path, folder / item.path.name)
    click.echo(f"copied {len(done)} files to {folder}")
