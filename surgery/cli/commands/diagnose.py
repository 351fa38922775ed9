"""`surgeon diagnose`: every refusal of TensorRT with its place, reason and rewrite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surgery.cli.arguments import TARGET, parse_dim, shape_options
from surgery.cli.streams import read_dash, without_temporary
from verify.render import FORMATS

if TYPE_CHECKING:
    from surgery.diagnose.repro.write import Repro
    from verify.report import Check, Report

WITH_AGAINST = ("inputs", "sizes", "seed", "tolerance")
OF_THE_JUDGE = ("build", "shapes", "smallest", "largest", "seconds", "repro")
WITHOUT_AGAINST = ("target", "fail_on", *OF_THE_JUDGE)
WITHOUT_LOG = ("against", *WITH_AGAINST, *OF_THE_JUDGE)


@click.command(name="diagnose")
@click.argument("models", nargs=-1, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option("--build/--no-build", default=True, show_default=True, help="Run the builder after the parser.")
@click.option(
    "--target",
    type=TARGET,
    metavar="NAME",
    default="tensorrt-rtx",
    show_default=True,
    help="Runtime to diagnose for: tensorrt-rtx, tensorrt-10.9, deepstream-8.0, onnxruntime ...",
)
@click.option(
    "--fail-on",
    type=click.Choice(["refused", "unknown"]),
    default="refused",
    show_default=True,
    help="Exit 1 where the target refuses, or also where nothing is known.",
)
@shape_options
@click.option(
    "--limit",
    "seconds",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds to search for more refusals after the first.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Format of the output."
)
@click.option(
    "--repro",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the smallest models that fail to this folder.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the log of another machine: trtexec, nvinfer, onnxruntime, torch_tensorrt, Polygraphy.",
)
@click.option(
    "--against", help="Find the first tensor that differs from another model, float16, optimized or a provider."
)
@click.option(
    "--inputs", type=click.Path(path_type=Path), help="With --against: .npz file with an array for each input."
)
@click.option("--size", "sizes", multiple=True, metavar="NAME=N", help="With --against: size of a dynamic dim.")
@click.option("--seed", default=0, show_default=True, help="With --against: seed of the random inputs.")
@click.option(
    "--tolerance",
    default=1e-3,
    show_default=True,
    help="With --against: largest RMS error / RMS that is no difference.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a self-contained HTML page.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out passed checks and notes.")
def command(
    models: tuple[Path, ...],
    form: str,
    log: Path | None,
    against: str | None,
    repro: Path | None,
    html: Path | None,
    quiet: bool,
    **given: Any,
) -> int:
    """List what TensorRT refuses in each MODEL: where it comes from, why, and what to do.

    - is standard input. With --log, TensorRT does not run here: the log says what it refused, and MODEL may be
    left out.

    Exit code 1: TensorRT refuses something.
    """
    from surgery.diagnose.rules import rule_texts
    from verify.model.read import read_model

    _check_options(models, against, log)
    from verify.render import show, write_html
    from verify.report import Report

    models = read_dash(click.get_current_context(), models)
    reports = [] if log is None else [_of_log(log, models, given)]
    for model in () if log is not None else models:
        read_model(model)
        if against is not None:
            reports.append(Report(str(model), [_against(model, against, given)]))
        else:
            folder = repro / model.stem if repro is not None and len(models) > 1 else repro
            reports.append(_examine(model, folder, given))
    for report in reports:
        without_temporary(report)
    code = show(reports, form, rules=rule_texts(), quiet=quiet)
    if html is not None:
        write_html(reports, html, title="Diagnosis", rules=rule_texts())
    return code


def _check_options(models: tuple[Path, ...], against: str | None, log: Path | None) -> None:
    """Raise SurgeonError for an option that has no effect beside the others, and for missing or several models."""
    from click.core import ParameterSource

    from verify.errors import SurgeonError

    context = click.get_current_context()
    if log is None and not models:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    if log is not None and len(models) > 1:
        raise SurgeonError("--log is about one model; give one MODEL, or none")
    for parameter in context.command.params:
        name, given = parameter.name or "", context.get_parameter_source(parameter.name or "")
        if given is not ParameterSource.COMMANDLINE:
            continue
        if log is not None and name in WITHOUT_LOG:
            raise SurgeonError(f"{parameter.opts[0]} has no effect with --log")
        if against is None and name in WITH_AGAINST:
            raise SurgeonError(f"{parameter.opts[0]} has no effect without --against")
        if against is not None and name in WITHOUT_AGAINST:
            raise SurgeonError(f"{parameter.opts[0]} has no effect with --against")


def _of_log(log: Path, models: tuple[Path, ...], given: dict[str, Any]) -> Report:
    """What the log says of the model, if there is one; --target counts only where it is given."""
    from click.core import ParameterSource

    from surgery.diagnose.logs import diagnose_log

    named = click.get_current_context().get_parameter_source("target") is ParameterSource.COMMANDLINE
    return diagnose_log(log, next(iter(models), None), given["target"] if named else None, given["fail_on"])


def _check_sizes(model: Path, one: Any, sizes: dict[str, int]) -> None:
    from verify.errors import SurgeonError
    from verify.inputs.draw import free_dims
    from verify.model.walk import fed_inputs

    axes = {
        f"{value.name}:{axis}"
        for value in fed_inputs(one.graph)
        for axis in range(len(value.type.tensor_type.shape.dim))
    }
    free = free_dims(one)
    for name in sizes:
        if name not in free and name not in axes:
            has = f"its free dims are {', '.join(free)}" if free else "all of its dims are fixed"
            raise SurgeonError(f"{model} has no dim '{name}'; {has}")


def _examine(model: Path, repro: Path | None, given: dict[str, Any]) -> Report:
    """What TensorRT refuses in `model`; the smallest models that show it go to the folder `repro`."""
    from surgery.diagnose import Settings, examine
    from surgery.diagnose.progress import listening
    from surgery.diagnose.repro.write import write_repros
    from surgery.pipeline.options import Options
    from verify.tensorrt.profiles import profiles_for

    profiles = profiles_for(model, given["shapes"], given["smallest"], given["largest"])
    settings = Settings(given["build"], profiles, given["seconds"], Options(target=given["target"]), given["fail_on"])
    with listening(lambda text: click.echo(f"surgeon: {model}: {text} ...", err=True)):
        report, cases = examine(model, settings)
    if repro is not None:
        report.checks += [_repro_check(made) for made in write_repros(cases, model, repro)]
    return report


def _repro_check(made: Repro) -> Check:
    from verify.report import Check

    what = f"{made.case.finding.code} {made.case.finding.op}"
    if made.folder is None:
        return Check("repro", "skip", f"{what}: no part of the model fails by itself")
    nodes = f"{made.nodes} node{'' if made.nodes == 1 else 's'}"
    figures = {"nodes": made.nodes, "bytes": made.size, "seconds": round(made.seconds, 3)}
    return Check(
        "repro", "pass", f"{what}: {made.folder} ({nodes}, {made.size} bytes), refused as the original", figures
    )


def _against(model: Path, other: str, given: dict[str, Any]) -> Check:
    """The first tensor that differs between `model` and `other`, which is a file or another way to run `model`."""
    from surgery.diagnose.provenance import source_of
    from verify.compare.divergence import diverge, way
    from verify.compare.statistics import Limits
    from verify.goldens.against import Compared, compare_models
    from verify.inputs.draw import load_npz

    one, two = way(model), way(Path(other)) if Path(other).is_file() else way(model, other)
    chosen = dict(map(parse_dim, given["sizes"]))
    _check_sizes(model, one.model, chosen)
    limits = Limits(rms_rel=given["tolerance"])
    if given["inputs"] is not None:
        compared = Compared(diverge(one, two, load_npz(given["inputs"]), limits), "", 1)
    else:
        compared = compare_models(one, two, chosen, given["seed"], limits)
    first = compared.found.first
    made = [node for node in one.model.graph.node if first and first.pair.name in node.output]
    return compared.check(one, two, source_of(made[0]) if made else "")
