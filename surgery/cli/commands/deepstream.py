"""`surgeon deepstream`: settings and engines of DeepStream's MaskTracker for the four files."""

from __future__ import annotations

from pathlib import Path

import click

RELEASES = ("8.0", "9.0", "9.1", "9.2")


@click.command(name="deepstream")
@click.argument("models", type=click.Path(path_type=Path))
@click.option("-o", "--output", default=".", type=click.Path(path_type=Path), help="Folder to write into.")
@click.option(
    "--release",
    default="8.0",
    show_default=True,
    type=click.Choice(RELEASES),
    help="Release of DeepStream to write for.",
)
@click.option("--precision", default="fp16", show_default=True, help="Precision that TensorRT builds: fp32 or fp16.")
@click.option(
    "--objects",
    default=1,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Batch size, if the files leave it open.",
)
@click.option("--no-memory", is_flag=True, help="Segment each frame by itself: faster, with up to 20 objects at once.")
@click.option("--target-folder", help="Folder of the ONNX files on the device.  [default: DeepStream's]")
@click.option("--exact", is_flag=True, help="Also write an image encoder that makes one scale factor exact.")
def command(
    models: Path,
    output: Path,
    release: str,
    precision: str,
    objects: int,
    no_memory: bool,
    target_folder: str | None,
    exact: bool,
) -> int:
    """Write what DeepStream's MaskTracker needs beside the four files in MODELS.

    These are the Segmenter's and the tracker's settings, the lines that deepstream-app needs, and a script that builds
    the engines with trtexec under the names that the tracker looks for.

    DeepStream scales all three colours by one number, SAM2 each by its own; red is off by 1.6 %. With --exact
    the image encoder's first weights make up for that, and the result is checked against exact
    preprocessing before it is written.

    Exit code 1: the release's TensorRT refuses one of the files.
    """
    from export import deepstream
    from export.deepstream import configs
    from verify.atomic_write import write_whole

    encoder = deepstream.ENCODER_FILE if exact else "image_encoder.onnx"
    made = deepstream.plan(
        models,
        release=release,
        precision=precision,
        objects=objects,
        memory=not no_memory,
        encoder=encoder,
        target_folder=target_folder or configs.TARGET_FOLDER,
    )
    output.mkdir(parents=True, exist_ok=True)
    if exact:
        errors = deepstream.write_exact_encoder(models, output / encoder, deepstream.Preprocessing())
        click.echo(f"{output / encoder}: largest error with DeepStream's preprocessing")
        for name, error in errors.items():
            click.echo(f"  {name}: {error['as exported']:.1e} as exported, {error['edited']:.1e} now")
    for name, text in made.texts.items():
        write_whole(output / name, text.encode())
        click.echo(f"{output / name}: written")
    click.echo(f"Copy the ONNX files to the paths that {configs.SEGMENTER_FILE} names.")
    for path, verdict in made.verdicts.items():
        if verdict.state != "accepted":
            click.echo(f"surgeon: {path}: {verdict.judge}: {verdict.message}", err=True)
    for line in made.warnings:
        click.echo(f"surgeon: {line}", err=True)
    return int(any(verdict.state == "refused" for verdict in made.verdicts.values()))
