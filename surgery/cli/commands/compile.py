"""`surgeon compile`: build a model with TensorRT, which needs no GPU, and report what the engine contains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from surgery.cli.arguments import format_option, parse_dim, shape_options


@click.command(name="compile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--gpu", default="ada", show_default=True, help="turing, ampere, ada, blackwell, or sm75 to sm121.")
@click.option(
    "--vs", "other", type=click.Path(path_type=Path), help="A second model to build; or with --layers, a second run."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the engine to this file.")
@shape_options
@click.option(
    "--size", "sizes", multiple=True, metavar="NAME=N", help="Fix a size that the spec leaves open: frames=7."
)
@click.option("--trtexec", "show_command", is_flag=True, help="Print the trtexec command for the same build, and stop.")
@click.option("--layers", type=click.Path(path_type=Path), help="Build nothing; read layers.json of trtexec elsewhere.")
@click.option("--profile", type=click.Path(path_type=Path), help="profile.json of the same run, for --layers.")
@click.option("--times", type=click.Path(path_type=Path), help="times.json of the same run, for --layers.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write a self-contained HTML page.")
@format_option("style")
def command(
    model: Path,
    gpu: str,
    other: Path | None,
    output: Path | None,
    shapes: tuple[str, ...],
    smallest: tuple[str, ...],
    largest: tuple[str, ...],
    sizes: tuple[str, ...],
    show_command: bool,
    layers: Path | None,
    profile: Path | None,
    times: Path | None,
    page: Path | None,
    style: str,
) -> int:
    """Build MODEL with TensorRT and report kernels, fused attention, precision and memory.

    - is standard input. Shapes of dynamic inputs come from --input-shape, --min-shape and --max-shape, or from the
    spec of the model.

    With --layers, show the engine that trtexec built on another machine instead, from the files that it wrote there:
    time and precision by ONNX node. --layers may name the folder that holds them, and --vs a second one.
    """
    from surgery.cli.streams import DASH, read_dash
    from surgery.diagnose.utf8 import require_text
    from verify.errors import SurgeonError
    from verify.model.read import read_model
    from verify.tensorrt.compile import compile_model
    from verify.tensorrt.profiles import profiles_for, trtexec

    if layers is not None:
        _require_alone(page=page, output=output, shapes=shapes, smallest=smallest, largest=largest, sizes=sizes)
        return _show_engines(model, [layers, other], profile, times, style)
    if profile is not None or times is not None:
        raise SurgeonError("--profile and --times belong to --layers layers.json, which is missing")
    if show_command and DASH in (model, other):
        raise SurgeonError("-: --trtexec names the file of the model; give it")
    given = tuple(filter(None, (model, other)))
    model, *more = read_dash(click.get_current_context(), given)
    other = next(iter(more), None)
    for path in filter(None, (model, other)):
        require_text(read_model(path), str(path))
    for path in filter(None, (output, page)):
        _require_writable(path)
    fixed = dict(map(parse_dim, sizes))
    profiles = profiles_for(model, shapes, smallest, largest, fixed)
    if show_command:
        _warn_of_open_sizes(model, profiles)
        click.echo(trtexec(model, profiles, output))
        return 0
    builds = [compile_model(model, profiles, gpu, engine=output)]
    if other is not None:
        builds.append(compile_model(other, profiles_for(other, shapes, smallest, largest, fixed), gpu))
    builds = [replace(one, model="-") if path == DASH else one for path, one in zip(given, builds, strict=True)]
    if page is not None:
        _write_page(builds, page)
    _show(builds, given, style)
    if output is not None and style == "text" and builds[0].ok:
        click.echo(f"{output}: engine for GPUs of {builds[0].capability}, written by {builds[0].backend}")
    return 0 if all(build.ok for build in builds) else 1


def _require_alone(**given: Any) -> None:
    """Raise SurgeonError for an option of a build, which --layers does not run."""
    from verify.errors import SurgeonError

    options = {"page": "--html", "output": "-o", "shapes": "--input-shape", "sizes": "--size"}
    options |= {"smallest": "--min-shape", "largest": "--max-shape"}
    for name, value in given.items():
        if value:
            raise SurgeonError(f"{options[name]} belongs to a build; --layers only reads what trtexec wrote")


def _warn_of_open_sizes(model: Path, profiles: Any) -> None:
    """Name the inputs for which trtexec would take 1 as every open size."""
    from verify.model.read import read_model
    from verify.tensorrt.profiles import dynamic_inputs

    names = ", ".join(name for name in dynamic_inputs(read_model(model)) if name not in (profiles or {}))
    if names:
        click.echo(f"{model}: trtexec takes 1 for each open size of {names}; give --input-shape", err=True)


def _show_engines(model: Path, sources: list[Path | None], profile: Path | None, times: Path | None, style: str) -> int:
    from surgery.diagnose.provenance import source_of
    from verify.device.engine_table import as_data, tables
    from verify.device.results.layers import read_engine
    from verify.model.read import read_model
    from verify.model.walk import node_name

    read = read_model(model)
    first, second = sources
    engines = [read_engine(read, first, profile, times)] if first is not None else []
    if second is not None:
        engines.append(read_engine(read, second))
    modules = {node_name(node): _module(source_of(node)) for node in read.graph.node}
    if style == "json":
        import json

        click.echo(json.dumps({"engines": [as_data(engine, modules) for engine in engines]}, indent=2))
        return 0
    _print(tables(engines, modules))
    return 0


def _module(source: str) -> str:
    """The torch module in what `source_of` says of a node."""
    return next((part.removeprefix("module ") for part in source.split(", ") if part.startswith("module ")), "")


def _print(parts: list[Any]) -> None:
    from surgery.cli.console import console
    from verify.render.text import visible

    out = console()
    for part in parts:
        if isinstance(part, str):
            click.echo(visible(part))  # a line that is not wrapped can be copied
        else:
            out.print(part)


def _require_writable(path: Path) -> None:
    """Raise SurgeonError, before a build that takes minutes, for a file that cannot be written after it."""
    from verify.errors import SurgeonError

    if path.is_dir():
        raise SurgeonError(f"{path}: cannot be written: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise SurgeonError(f"{path}: cannot be written: there is no folder {path.parent}; make it first")


def _write_page(builds: list[Any], page: Path) -> None:
    from verify.render import write_html
    from verify.tensorrt.table import as_report

    write_html([as_report(builds)], page, title="TensorRT build")


def _show(builds: list[Any], models: tuple[Path, ...], style: str) -> None:
    from verify.tensorrt.table import as_data, tables

    if style == "json":
        import json

        data = [as_data(build) for build in builds]
        click.echo(json.dumps({"builds": data}, indent=2))
        return
    _print(tables(builds))
    for model, build in zip(models, builds, strict=True):
        if not build.ok:
            click.echo(f"{model} was not built; for reasons and rewrites run: surgeon diagnose {model}")
