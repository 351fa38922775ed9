"""`surgeon extract`: a part of a model as a model of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click


@click.command(name="extract")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--inputs", multiple=True, metavar="NAME,...", help="Tensors that become inputs.  [default: the model's]")
@click.option(
    "--outputs", multiple=True, metavar="NAME,...", help="Tensors that become outputs.  [default: the model's]"
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: MODEL.part.onnx]")
@click.option(
    "--check-inputs", type=click.Path(path_type=Path), help="Compare on the model's inputs in this .npz file."
)
@click.option("--strict", is_flag=True, help="Write nothing and exit 1 if the model cannot be run.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
def command(
    model: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    output: Path | None,
    check_inputs: Path | None,
    strict: bool,
    form: str,
) -> int:
    """Write the nodes of MODEL between --inputs and --outputs as a model, and check that it computes the same.

    The whole model runs on random inputs, the part on the values that the whole has at its inputs. If the outputs
    differ, nothing is written and the exit code is 1.
    """
    from surgery.extract import extract
    from surgery.isolated import run_isolated
    from verify.errors import SurgeonError
    from verify.inputs.draw import load_npz
    from verify.render import show

    if not inputs and not outputs:
        raise SurgeonError("name where the part begins or ends, with --inputs NAME or --outputs NAME")
    values = None if check_inputs is None else load_npz(check_inputs)
    target = output or model.with_name(f"{model.stem}.part.onnx")
    call = partial(extract, model, target, _names(inputs), _names(outputs), values=values, strict=strict)
    report = run_isolated(call)
    return show([report], form)


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    """Names from `--inputs a --inputs b` or `--inputs a,b`."""
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())
