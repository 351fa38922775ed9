"""`surgeon fix`: apply the passes to ONNX files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="fix")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write (one model only).")
def command(models: tuple[Path, ...], output: Path | None) -> int:
    """Fold, clean and rewrite MODELS until the target takes them; the inputs are left as they are."""
    from surgery.fixing import fix

    for model in models:
        target = output or model.with_name(f"{model.stem}.fixed.onnx")
        report = fix(model, target)
        click.echo(f"{model} -> {target}: {report.checks[0].message}")
    return 0
