"""`surgeon deepstream`: settings of DeepStream's MaskTracker for the four files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="deepstream")
@click.argument("models", type=click.Path(path_type=Path))
@click.option("-o", "--output", default=".", type=click.Path(path_type=Path), help="Folder to write into.")
@click.option("--precision", default="fp16", show_default=True, help="Precision that TensorRT builds: fp32 or fp16.")
@click.option(
    "--objects",
    default=1,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Batch size, if the files leave it open.",
)
@click.option("--target-folder", help="Folder of the ONNX files on the device.  [default: DeepStream's]")
@click.option("--exact", is_flag=True, help="Also write an image encoder that makes one scale factor exact.")
def command(models: Path, output: Path, precision: str, objects: int, target_folder: str | None, exact: bool) -> int:
    """Write the Segmenter settings of DeepStream's MaskTracker for the four files in MODELS.

    DeepStream scales all three colours by one number, SAM2 each by its own; red is off by 1.6 %. With --exact
    the image encoder's first weights make up for that, and the result is checked against exact
    preprocessing before it is written.
    """
    from export import deepstream

    encoder = "image_encoder.onnx"
    if exact:
        encoder = deepstream.ENCODER_FILE
        errors = deepstream.write_exact_encoder(models, output / encoder, deepstream.Preprocessing())
        click.echo(f"{output / encoder}: largest error with DeepStream's preprocessing")
        for name, error in errors.items():
            click.echo(f"  {name}: {error['as exported']:.1e} as exported, {error['edited']:.1e} now")
    text = deepstream.segmenter_config(
        models,
        precision=precision,
        objects=objects,
        encoder=encoder,
        target_folder=target_folder or deepstream.TARGET_FOLDER,
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / deepstream.CONFIG_FILE).write_text(text, encoding="utf-8")
    click.echo(f"{output / deepstream.CONFIG_FILE}: written; copy the ONNX files to the paths it names")
    advice = deepstream.advice(models, precision)
    if advice:
        click.echo(f"surgeon: {advice}", err=True)
    return 0
