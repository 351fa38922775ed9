"""`surgeon verify`: check the interface of models, their outputs against goldens, and that TensorRT builds them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from surgery.cli.arguments import split_shapes
from surgery.cli.config import with_defaults
from surgery.cli.named_paths import about_goldens, about_spec, models_behind
from surgery.cli.streams import read_dash, without_temporary
from verify.errors import MissingBackend, SurgeonError
from verify.render import FORMATS
from verify.report import Report, exit_code, not_checked


@click.command(name="verify")
@click.argument("models", nargs=-1, type=click.Path(path_type=Path))
@click.option("--spec", default="sam2", show_default=True, help="Documented interface: sam2, a TOML file, or none.")
@click.option("--golden", multiple=True, type=click.Path(path_type=Path), help="Folder of goldens to compare with.")
@click.option("--trt/--no-trt", "trt", default=None, help="Run TensorRT's parser and builder.  [default: if installed]")
@click.option(
    "--backend",
    type=click.Choice(["tensorrt-rtx", "tensorrt", "none"]),
    help="TensorRT that must build it here; tensorrt needs a GPU.",
)
@click.option(
    "--input-shape",
    multiple=True,
    callback=split_shapes,
    metavar="NAME:SHAPE",
    help="Shapes to build for: x:1x3, or x:1x3..8x3.",
)
@click.option("--against-torch", is_flag=True, help="Also compare with stock SAM2 (needs [export]).")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Checkpoint for --against-torch.")
@click.option(
    "--closed-loop", type=click.Path(path_type=Path), help="Track with the files in this folder and with stock SAM2."
)
@click.option(
    "--clip", type=click.Path(path_type=Path), help="Video or frames for --closed-loop.  [default: a moving photo]"
)
@click.option("--frames", default=20, show_default=True, type=click.IntRange(min=2), help="Frames for --closed-loop.")
@click.option(
    "--prompted-frames",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often one object is prompted, for --closed-loop.",
)
@click.option("--model-type", help="SAM2 model for --closed-loop, if the files do not record it.")
@click.option(
    "--device-run", type=click.Path(path_type=Path), help="Folder of surgeon golden trtexec, back from the GPU machine."
)
@click.option("--keep", is_flag=True, help="Keep the verdict of the GPU beside the golden, for CI without one.")
@click.option("--strict", is_flag=True, help="Exit 4 if a backend is missing; fail a model without a good golden.")
@click.option("--scale", default=1.0, show_default=True, help="Multiply the tolerances of goldens by this.")
@click.option(
    "--min-sensitivity",
    type=click.FloatRange(0, 1),
    help="Share of planted faults that a golden must catch.  [default: 0.8 with --strict, else any]",
)
@click.option("--max-error", type=float, help="Largest error / RMS, instead of the tolerances of goldens.")
@click.option("--rms-error", type=float, help="RMS error / RMS, instead of the tolerances of goldens.")
@click.option("--cosine", type=float, help="Smallest cosine, instead of the tolerances of goldens.")
@click.option("--results", type=click.Path(path_type=Path), help="Apply limits to a saved JSON report; runs no model.")
@click.option(
    "--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="Format of the output."
)
@click.option("--html", type=click.Path(path_type=Path), help="Also write a self-contained HTML page.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what failed or was skipped.")
@click.option("--no-cache", is_flag=True, help="Check models again that have not changed.")
@click.pass_context
def command(context: click.Context, /, models: tuple[Path, ...], **given: Any) -> int:
    """Check MODELS (files, folders with .onnx files at any depth, or -): interface, goldens, TensorRT.

    Exit code 0: all checks passed. 1: a check failed. 2: a model cannot be read. 4: a backend that was
    asked for, or any with --strict, is not installed or cannot run here.
    """
    from verify.compare.statistics import Limits
    from verify.rejudge import load_reports, with_limits

    given = with_defaults(context, given)
    models = read_dash(context, models)
    results = given["results"]
    if (results is None) == (not models and not given["closed_loop"]):
        raise SurgeonError("give MODELS, or --results FILE with a report of theirs; see surgeon verify --help")
    _check_device_options(given)
    _choose_backend(context, given)
    limits = Limits(max_rel=given["max_error"], rms_rel=given["rms_error"], cosine=given["cosine"])
    reports = load_reports(results) if results else _verify_all(models, given)
    reports = with_limits(reports, limits)
    if given["closed_loop"]:
        reports.append(_closed_loop(given))
    if given["strict"]:
        reports = [_strict(report) for report in reports]
    for report in reports:
        without_temporary(report)
    _show(reports, given)
    return exit_code(reports)


def _check_device_options(given: dict[str, Any]) -> None:
    """Raise SurgeonError before models are run: for a wrong --device-run, and for --keep without a verdict to keep."""
    from verify.device.manifest import read_manifest

    if given["device_run"] is not None:
        read_manifest(given["device_run"])
    elif given["keep"] and given["backend"] != "tensorrt":
        raise SurgeonError("--keep needs --device-run FOLDER or --backend tensorrt, which give the verdict to keep")


def _device_options(given: dict[str, Any]) -> dict[str, Any]:
    """Options of `verify_model` that no other call shares, so that such a report is never cached."""
    found = {"device_run": given["device_run"]} if given["device_run"] is not None else {}
    return found | ({"keep_device_run": True} if given["keep"] else {})


def _choose_backend(context: click.Context, given: dict[str, Any]) -> None:
    """Let --backend pick the TensorRT that must run here, until the command ends."""
    import os

    backend = given["backend"]
    if backend is None:
        return
    if given["trt"] is not None:
        raise SurgeonError("give either --backend or --trt/--no-trt")
    given["trt"] = backend != "none"
    if backend != "none":
        before = os.environ.get("SURGEON_TENSORRT")
        os.environ["SURGEON_TENSORRT"] = backend.replace("-", "_")
        context.call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    import os

    os.environ.pop("SURGEON_TENSORRT", None)
    if before is not None:
        os.environ["SURGEON_TENSORRT"] = before


def _show(reports: Sequence[Report], given: dict[str, Any]) -> None:
    from surgery.cli.silent_faults import texts_of
    from verify.render import show, write_html

    rules = texts_of(reports)
    show(reports, given["style"], quiet=given["quiet"], rules=rules)
    if given["html"] is not None:
        write_html(reports, given["html"], title="surgeon verify", rules=rules)
    if given["style"] != "text":  # programs read the document; people also read here what was not checked
        for report in reports:
            for check in report.checks:
                if "exit_code" in check.figures:
                    click.echo(f"surgeon: {report.model}: {check.message}", err=True)


def _closed_loop(given: dict[str, Any]) -> Report:
    from export.stock.closed_loop import closed_loop
    from export.tracking.run import progress_bar
    from export.weights.sam2_model import require

    require()
    folder, frames = given["closed_loop"], given["frames"]
    with progress_bar(frames) as tell:
        checks = closed_loop(
            folder,
            frames=frames,
            clip=given["clip"],
            checkpoint=given["checkpoint"],
            model_type=given["model_type"],
            prompted_frames=given["prompted_frames"],
            progress=lambda frame: tell(frame + 1),
        )
    return Report(str(folder), checks)


def _strict(report: Report) -> Report:
    """The report in which each check that was skipped for a missing backend fails with exit code 4."""
    checks = [
        replace(check, status="fail", figures={**check.figures, "exit_code": MissingBackend.exit_code})
        if check.status == "skip" and check.figures.get("missing")
        else check
        for check in report.checks
    ]
    return replace(report, checks=checks)


def _verify_all(models: Sequence[Path], given: dict[str, Any]) -> list[Report]:
    from verify.goldens.find import folders
    from verify.interface.spec import load_spec
    from verify.model.files import find_models

    folders(given["golden"])  # a folder or spec that does not exist is one error, not one for each model
    spec = None if given["spec"] == "none" else given["spec"]
    if spec is not None:
        load_spec(spec)
    options = {
        "spec": spec,
        "goldens": given["golden"],
        "tensorrt": given["trt"],
        "strict": given["strict"],
        "scale": given["scale"],
        **_device_options(given),
        "min_sensitivity": given["min_sensitivity"],
    }
    stock = _stock(given["checkpoint"]) if given["against_torch"] else None
    paths, reports = models_behind(models)
    paths = find_models(paths)
    profiles = _profiles(given["input_shape"], paths)
    for path in paths:
        try:
            own = {**options, "profiles": profiles.get(path)}
            reports.append(_verify_one(path, own, stock, given["no_cache"]))
        except SurgeonError as error:
            reports.append(not_checked(path, error))
    return reports + about_goldens(given, reports) + about_spec(spec, reports)


def _profiles(shapes: Sequence[str], paths: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """The profiles of each model: the given shapes whose names are inputs of that model.

    Raises:
        SurgeonError: a shape names no input of any model.
    """
    if not shapes:
        return {}
    from verify.model.read import read_model
    from verify.model.walk import fed_inputs
    from verify.tensorrt.profiles import parse_profile

    given = dict(map(parse_profile, shapes))
    inputs: dict[Path, list[str]] = {}
    for path in paths:
        with suppress(SurgeonError):  # the report of the model says why it cannot be read
            inputs[path] = [value.name for value in fed_inputs(read_model(path).graph)]
    known = list(dict.fromkeys(name for names in inputs.values() for name in names))
    for name in given:
        if inputs and name not in known:
            raise SurgeonError(f"--input-shape: no input '{name}' in these models; they have {', '.join(known)}")
    return {path: {name: given[name] for name in names if name in given} for path, names in inputs.items()}


def _stock(checkpoint: Path | None) -> Any:
    from export.check_stock import parity
    from export.weights.sam2_model import require
    from verify.report import Check

    require()

    def check(path: Path, metadata: Any, spec: Any) -> Check:
        if spec is None:
            return Check("stock SAM2", "skip", "not a SAM2 module, so stock SAM2 has nothing to compare")
        return parity(path, metadata, spec, checkpoint)

    return check


def _verify_one(path: Path, options: dict[str, Any], extra_check: Any, no_cache: bool) -> Report:
    from surgery.cli.silent_faults import addition

    own = addition(path, asked=options["tensorrt"])
    with _status(path):
        if no_cache or extra_check is not None or {"device_run", "keep_device_run"} & set(options):
            from verify.cached import verify_with
            from verify.model.read import read_model

            return verify_with(path, read_model(path), {**options, "extra_check": extra_check}, own)
        from verify.cached import verify_cached

        return verify_cached(path, options, own)


def _status(path: Path) -> Any:
    from contextlib import nullcontext

    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"verifying {path}")
