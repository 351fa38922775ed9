"""`surgeon extract`: a part of a model as a model of its own."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from surgery.cli.arguments import format_option


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
@format_option("form")
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

    - is standard input, and -o - standard output; the report then goes to standard error.

    The whole model runs on random inputs, the part on the values that the whole has at its inputs. If the outputs
    differ, nothing is written and the exit code is 1.
    """
    from surgery.cli.streams import fix_streams, without_temporary
    from surgery.extract import extract
    from surgery.isolated import run_isolated
    from verify.errors import SurgeonError
    from verify.inputs.draw import load_npz
    from verify.render import show

    if not inputs and not outputs:
        raise SurgeonError("say where the part begins or ends with --inputs NAME or --outputs NAME")
    values = None if check_inputs is None else load_npz(check_inputs)
    (source,), place, stream = fix_streams(click.get_current_context(), (model,), output)
    target = place or source.with_name(f"{source.stem}.part.onnx")
    call = partial(extract, source, target, _names(inputs), _names(outputs), values=values, strict=strict)
    report = without_temporary(run_isolated(call))
    code = show([report], form, stream=sys.stdout if stream is None else sys.stderr)
    if stream is not None:
        stream.send()
    return code


def _names(given: tuple[str, ...]) -> tuple[str, ...]:
    """Names from `--inputs a --inputs b` or `--inputs a,b`."""
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())
