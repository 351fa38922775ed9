"""`surgeon fix`: apply the passes to ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from surgery.cli.arguments import TARGET, format_option, parse_size, parse_value, split_shapes
from surgery.cli.config import with_defaults
from surgery.cli.console import fitted
from surgery.cli.fix_summary import summary
from surgery.cli.parallel import jobs_for, run_parallel
from surgery.cli.streams import fix_streams, spoken, without_temporary
from surgery.precision import DEFAULT_MAX_ERROR, PRECISIONS
from verify.errors import SurgeonError
from verify.model.shape_text import parse_shape
from verify.report import Report, Verdict

PATH = click.Path(path_type=Path)
RESULT = ".fixed.onnx"


@click.command(name="fix")
@click.argument("models", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", "--to", "target_path", type=PATH, help="File to write; a folder for several models.")
@click.option("--in-place", is_flag=True, help="Replace the models; keep each original as MODEL.bak.")
@click.option("--spec", help="Interface with the names, order and dims to set: sam2, or a TOML file.")
@click.option("--select", multiple=True, metavar="CODE", help="Run only these passes (SG005, or SG0 for a group).")
@click.option("--ignore", multiple=True, metavar="CODE", help="Run all passes but these.")
@click.option("--skip-node", multiple=True, metavar="NAME", help="Leave this node unchanged.")
@click.option(
    "--input-shape",
    multiple=True,
    callback=split_shapes,
    metavar="NAME:SHAPE",
    help="Fix the shape of an input: x:1x3x64x64.",
)
@click.option("--set-input", multiple=True, metavar="NAME=VALUE", help="Turn an input into a constant: sr=16000.")
@click.option("--outputs", multiple=True, metavar="NAME", help="Make this tensor an output and cut off what follows.")
@click.option(
    "--fold-limit", default="64K", show_default=True, help="Largest growth of the file by one folded constant."
)
@click.option("--loop-limit", default=64, show_default=True, help="Most iterations of a loop that is unrolled.")
@click.option(
    "--target",
    type=TARGET,
    metavar="NAME",
    default="tensorrt-rtx",
    show_default=True,
    help="Runtime to write for: tensorrt-rtx, tensorrt-10.9, deepstream-8.0, onnxruntime ...",
)
@click.option("--precision", type=click.Choice(PRECISIONS), help="Lower nodes to half precision, by measuring.")
@click.option(
    "--max-error",
    type=float,
    help=f"Largest error of an output by --precision, relative to its RMS.  [default: {DEFAULT_MAX_ERROR:g}]",
)
@click.option(
    "--calibrate", type=PATH, help="Real inputs (.npz): half precision is measured, and results are compared, on them."
)
@click.option("--unfused-attention", is_flag=True, help="Keep attention in fp32, where TensorRT does not fuse it.")
@click.option("--check-inputs", type=PATH, help="Compare on the inputs in this .npz instead of random ones.")
@click.option("--no-guard", is_flag=True, help="Write without comparing with the original; the report says so.")
@click.option("--strict", is_flag=True, help="Write nothing and exit 1 if the result cannot be compared.")
@click.option("--build", is_flag=True, help="Check the result with the target's builder too, not only with its parser.")
@click.option("--save-external-data", is_flag=True, help="Write weights to a file beside the model.")
@click.option(
    "-j", "--jobs", type=click.IntRange(1), help="Models to fix at a time.  [default: up to 4, a large one alone]"
)
@click.option("--report", "report_path", type=PATH, help="Also write the report to this file: .json, .html, or text.")
@format_option("style")
@click.option("-v", "--verbose", is_flag=True, help="List every finding.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def command(context: click.Context, /, models: tuple[Path, ...], target_path: Path | None, **given: Any) -> int:
    """Simplify MODELS and rewrite what the target refuses, and check that they compute the same.

    Without -o the result of m.onnx is m.fixed.onnx in the same folder; m.onnx itself does not change.
    - is standard input, and -o - standard output; the report then goes to standard error.

    \b
    Exit codes:
      0  fixed
      1  the result differs and was not written; with --strict, also a refusal
      2  a file cannot be read or written
    """
    given = with_defaults(context, given)
    options = _options(given)
    reports, errors = [], []
    models, target_path, output = fix_streams(context, tuple(dict.fromkeys(models)), target_path)
    if not given["in_place"] and target_path is None:
        models, target_path = _as_other_tools(models)
    targets = _targets(models, target_path, given["in_place"])
    if any(model.is_file() for model in models):
        _start_judge(given["target"])
    with _fixed(targets, options, given) as running:
        for model, fixed in running:
            try:
                report = fixed()
                report.verdicts = _verdicts(targets[model], given)
                without_temporary(report)
                reports.append(report)
                if given["style"] == "text" and not given["quiet"]:
                    written = targets[model] if output is None else "-"
                    click.echo(fitted(summary(written, report, given["verbose"])), err=output is not None)
            except SurgeonError as error:
                errors.append(error)
                click.echo(f"surgeon: {spoken(_named(model, error))}", err=True)
    if given["style"] == "json":
        click.echo(_json(reports), err=output is not None)
    if output is not None:
        output.send()
    if given["report_path"] is not None:
        _write_report(given["report_path"], reports)
    codes = {error.exit_code for error in errors}
    codes |= {1 for report in reports for one in report.verdicts if one.asked and one.state == "refused"}
    return next((code for code in (2, 1, 4) if code in codes), max(codes, default=0))


def _start_judge(name: str) -> None:
    """Let TensorRT load while the models are fixed, where it will be asked for its verdict on the results."""
    from surgery.targets import RTX, load_target
    from verify.tensorrt import engine

    if load_target(name).family == RTX:
        engine.start()


def _verdicts(target: Path | SurgeonError, given: dict[str, Any]) -> list[Verdict]:
    """The verdict of the target's parser on the written file; a refusal fails with `--strict` only."""
    from surgery.diagnose.verdicts import verdict_of
    from surgery.targets import load_target

    if isinstance(target, SurgeonError):
        return []
    try:
        return [replace(verdict_of(target, load_target(given["target"]), build=given["build"]), asked=given["strict"])]
    except SurgeonError as error:
        return [Verdict(load_target(given["target"]).label, "unknown", f"not asked: {error}", asked=given["strict"])]


def _options(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "target": given["target"],
        "select": _codes(given["select"]),
        "ignore": _codes(given["ignore"]),
        "skip_nodes": frozenset(given["skip_node"]),
        "fold_limit": parse_size(str(given["fold_limit"])),
        "loop_limit": given["loop_limit"],
        "spec": given["spec"],
        "input_shapes": dict(map(parse_shape, given["input_shape"])),
        "set_inputs": dict(map(parse_value, given["set_input"])),
        "outputs": tuple(name for text in given["outputs"] for name in text.split(",") if name),
        "check_inputs": given["check_inputs"],
        "precision": given["precision"],
        "max_error": DEFAULT_MAX_ERROR if given["max_error"] is None else given["max_error"],
        "calibrate": given["calibrate"],
        "unfused_attention": given["unfused_attention"],
        "strict": given["strict"],
        "guard": not given["no_guard"],
        "in_place": given["in_place"],
        "save_external_data": given["save_external_data"],
    }


def _codes(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Codes from `--select SG001 --select SG2` or `--select SG001,SG2`; those of no pass are an error."""
    from surgery.passes import check_codes

    codes = tuple(code.strip().upper() for text in texts for code in text.split(",") if code.strip())
    check_codes(codes)
    return codes


def _as_other_tools(models: tuple[Path, ...]) -> tuple[tuple[Path, ...], Path | None]:
    """`fix IN OUT`, as onnxsim has it, writes OUT if there is no such file yet.

    In `fix *.onnx`, results of an earlier run are skipped.
    """
    if len(models) == 2 and models[0].is_file() and not models[1].exists() and models[1].suffix == ".onnx":
        return models[:1], models[1]
    kept = []
    for model in models:
        original = model.with_name(f"{model.name.removesuffix(RESULT)}.onnx")
        if model.name.endswith(RESULT) and original in models:
            click.echo(f"surgeon: {model}: skipped, because fix wrote it from {original}", err=True)
        else:
            kept.append(model)
    return tuple(kept), None


def _targets(models: tuple[Path, ...], wanted: Path | None, in_place: bool) -> dict[Path, Path | SurgeonError]:
    """The output path of each model, or the error that says why it has none."""
    found: dict[Path, Path | SurgeonError] = {}
    taken: dict[Path, Path] = {}
    for model in models:
        try:
            target = _target(model, wanted, len(models), in_place)
            if len(models) > 1:
                _check_several(model, target, taken)
            found[model] = target
        except SurgeonError as error:
            found[model] = error
    return found


def _target(model: Path, wanted: Path | None, count: int, in_place: bool) -> Path:
    if in_place:
        if wanted is not None:
            raise SurgeonError("--in-place and -o exclude each other; choose one")
        return model
    if wanted is None and model.name.endswith(RESULT):
        raise SurgeonError(f"{model}: fix wrote it from another model; give -o OUT or --in-place to fix it again")
    if wanted is None:
        return model.with_name(f"{model.stem}{RESULT}")
    if count > 1 and wanted.suffix == ".onnx" and not wanted.is_dir():
        raise SurgeonError(f"-o {wanted}: is one file for {count} models; give a folder")
    if wanted.is_dir() or count > 1:
        return wanted / model.name
    return wanted


def _check_several(model: Path, target: Path, taken: dict[Path, Path]) -> None:
    """Raise SurgeonError for an output that was given as a model, and for a result that would replace another's."""
    if not model.exists() and model.parent.is_dir():
        raise SurgeonError(f"{model}: no such file; a file to write goes after -o")
    if target in taken:
        raise SurgeonError(f"{target}: holds the result of {taken[target]}; fix this model in a separate run")
    taken[target] = model


def _named(model: Path, error: SurgeonError) -> str:
    text = str(error)
    return text if str(model) in text else f"{model}: {text}"


@contextmanager
def _fixed(
    targets: dict[Path, Path | SurgeonError], options: dict[str, Any], given: dict[str, Any]
) -> Iterator[Iterator[tuple[Path, Callable[[], Report]]]]:
    """For each model a function that waits for its report, or raises the error."""
    known = {model: target for model, target in targets.items() if isinstance(target, Path)}
    calls = [(model, target, options) for model, target in known.items()]
    with run_parallel(_fix, calls, jobs_for(list(known), given["jobs"])) as running:
        yield (
            (model, partial(_raise, target) if isinstance(target, SurgeonError) else next(running))
            for model, target in targets.items()
        )


def _raise(error: SurgeonError) -> Report:
    raise error


def _fix(model: Path, target: Path, options: dict[str, Any]) -> Report:
    """Fix one model in a process of its own."""
    from surgery.api import fix

    if options["precision"] is not None:
        click.echo(f"{target}: measuring which nodes can run in half precision ...", err=True)
    report = fix(model, target, isolated=True, **options)
    report.model = str(model)
    return report


def _json(reports: list[Report]) -> str:
    from verify.render.data import to_json

    return to_json(reports)


def _write_report(path: Path, reports: list[Report]) -> None:
    from verify.atomic_write import write_whole

    if path.suffix == ".html":
        from surgery.diagnose.rules import rule_texts
        from verify.render import write_html

        write_html(reports, path, title="Surgery", rules=rule_texts())
        return
    text = _json(reports) if path.suffix == ".json" else "\n".join(summary(None, r, True) for r in reports) + "\n"
    write_whole(path, text.encode())
