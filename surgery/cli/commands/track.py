"""`surgeon track`: the four ONNX files as a video tracker."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from export.tracking.run import Summary
    from export.tracking.sinks import Sink
    from export.tracking.source import Source

INTERRUPTED = 130
MOST_NAMED = 10  # damaged frames in a message
MOST_MISSING = 1.0  # seconds by which the stated length of a whole file may be wrong
OUTPUTS = ("output", "csv_path", "json_path", "kitti", "masks", "candidates")


@click.command(name="track")
@click.argument("video")
@click.option("--models", required=True, type=click.Path(path_type=Path), help="Folder of the four ONNX files.")
@click.option("--box", "boxes", multiple=True, metavar="X0,Y0,X1,Y1", help="A box around an object, in pixels.")
@click.option("--point", "points", multiple=True, metavar="X,Y,LABEL", help="A click: label 1 object, 0 background.")
@click.option("--mask", "masks_given", multiple=True, metavar="FILE", help="A picture of an object's mask.")
@click.option("--correct", "corrections", multiple=True, metavar="X,Y,LABEL", help="A click on a tracked object.")
@click.option("--remove", "removals", multiple=True, metavar="ID@FRAME", help="Stop tracking an object.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Overlay: a video (.mp4 ...), or a folder of pictures."
)
@click.option(
    "--csv", "csv_path", type=click.Path(path_type=Path), help="Boxes and scores: a line for each object in each frame."
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Boxes and scores as JSON.")
@click.option("--kitti", type=click.Path(path_type=Path), help="Folder of KITTI files as DeepStream writes them.")
@click.option("--masks", type=click.Path(path_type=Path), help="Folder of mask pictures at the video's size.")
@click.option("--candidates", type=click.Path(path_type=Path), help="Folder of the three masks of each prompt.")
@click.option("--label", default="object", show_default=True, help="Class name in KITTI lines.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop after this many frames.")
@click.option("--live", is_flag=True, help="Drop old frames where tracking is slower than the source.")
@click.option(
    "--batch",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Most objects in one call; more take more memory.",
)
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="Where onnxruntime runs the files.",
)
@click.option("--threads", default=0, show_default=True, type=click.IntRange(min=0), help="CPU threads; 0 uses all.")
def command(video: str, models: Path, **options: Any) -> int:
    """Track objects through VIDEO: a video file, a folder of frames, a picture, an rtsp:// or http:// address,
    a camera (0, /dev/video0), or - for a video on standard input.

    \b
    A prompt may say which object and frame it is for:
      --box 40,50,200,220          next object (1, 2, ...), first frame
      --box 7=40,50,200,220        object 7, first frame
      --box 7@10=40,50,200,220     object 7, from frame 10 on
      --point 7@10=130,140,1       a click on the same object and frame
      --mask 7@10=mask.png         the mask of object 7 in frame 10
      --correct 7@20=90,100,0      a click that corrects what was tracked

    A point without an id belongs to object 1. Frames count from 0. A new prompt in a later frame is remembered beside
    the earlier ones; to restart an object, give --remove ID@FRAME for the same frame. --mask, --correct and
    --candidates need mask_decoder_prompts.onnx (surgeon export --prompts).

    Ctrl-C stops tracking after the current frame; the results of the frames before it stay. Output is written from
    the first tracked frame on. Damaged frames of a video are tracked as far as they can be decoded, and end in exit
    code 2.
    """
    from export.tracking.options import parse

    given = ("boxes", "points", "masks_given", "corrections", "removals")
    plan = parse(*(options[name] for name in given))
    _check_outputs(video, options)
    _check_live(video, options["live"])
    from export.tracking.decoding import require_prompts
    from export.tracking.frames import is_picture, open_frames
    from export.tracking.modules import load
    from export.tracking.run import orderly_stop, progress_bar, track_video
    from export.tracking.source import live
    from export.tracking.tracker import Tracker
    from verify.errors import SurgeonError
    from verify.report import counted

    provider = options["provider"]
    modules = load(models, options["threads"], memory=not is_picture(Path(video)), provider=provider)
    if modules.metadata.get("checkpoint", "").startswith("reference"):
        click.echo(f"{models}: reference weights, not trained; the masks mean nothing", err=True)
    if plan.corrections or options["masks_given"] or options["candidates"]:
        require_prompts(modules)
    tracker, limit = Tracker(modules, most=options["batch"]), options["frames"]
    with orderly_stop() as stopped, open_frames(video) as source, ExitStack() as stack:
        if options["live"]:
            source = stack.enter_context(live(source))
        sinks = _sinks(options, source, stack)
        total = min(source.count, limit) if source.count and limit else limit or source.count
        progress = stack.enter_context(progress_bar(total))
        summary = track_video(source, tracker, plan, sinks, limit=limit, stopped=stopped, progress=progress)
    dropped = f"; {summary.dropped} dropped, --live" if options["live"] else ""
    rate = f"{summary.rate:.2f} frames per second on {provider}"
    click.echo(f"{counted(summary.frames, 'frame')} in {summary.seconds:.1f} s, {rate}{dropped}")
    damage = _damage(video, summary)
    if summary.interrupted:
        held = f"the results hold the first {counted(summary.frames, 'frame')}"
        said = f"interrupted; {held if summary.frames else 'nothing was written'}"
        click.echo("; ".join(filter(None, (damage, said))), err=True)
        return INTERRUPTED
    if damage:
        raise SurgeonError(damage)
    return 0


def _damage(video: str, summary: Summary) -> str:
    """What of the source could not be decoded, or an empty string."""
    from export.tracking.videos import shown
    from verify.report import counted

    said = []
    if summary.damaged:
        named = ", ".join(map(str, summary.damaged[:MOST_NAMED]))
        more = f" and {len(summary.damaged) - MOST_NAMED} more" if len(summary.damaged) > MOST_NAMED else ""
        many = len(summary.damaged) > 1
        frames = f"frames {named}{more} are" if many else f"frame {named} is"
        said.append(f"{frames} cut off or damaged in the source; {'their' if many else 'its'} results are not reliable")
    if summary.lost:
        said.append(f"{counted(summary.lost, 'picture')} could not be decoded and left out")
    if summary.missing > MOST_MISSING:
        said.append(f"it ends {summary.missing:.1f} s before the length that it states, as a file that was cut off")
    return f"{shown(video)}: {'; '.join(said)}" if said else ""


def _check_outputs(video: str, options: dict[str, Any]) -> None:
    from export.tracking.sinks import check_file, check_folder, check_overlay
    from verify.errors import SurgeonError

    paths = [options[name] for name in OUTPUTS if options[name]]
    if not paths:
        raise SurgeonError("no output; give at least one of -o, --csv, --json, --kitti, --masks, --candidates")
    if any(path.resolve() == Path(video).resolve() for path in paths):
        raise SurgeonError(f"{video}: is the input; choose another output")
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise SurgeonError(f"{twice[0]}: given for two outputs; name a path for each")
    checks = {"output": check_overlay, "csv_path": check_file, "json_path": check_file}
    for name in OUTPUTS:
        if options[name]:
            checks.get(name, check_folder)(options[name])


def _check_live(video: str, live: bool) -> None:
    from export.tracking.videos import is_address
    from verify.errors import SurgeonError

    if live and not is_address(video):
        raise SurgeonError(
            f"--live: {video} is a file, which waits; leave --live out, or give a camera, an address or -"
        )


def _sinks(options: dict[str, Any], source: Source, stack: ExitStack) -> list[Sink]:
    from export.tracking.sinks import (
        candidate_sink,
        csv_sink,
        from_first_frame,
        json_sink,
        kitti_sink,
        mask_sink,
        overlay_sink,
    )

    makers: dict[str, Callable[[Path], Sink]] = {
        "output": lambda path: overlay_sink(path, source.rate, stack),
        "csv_path": lambda path: csv_sink(path, stack),
        "json_path": lambda path: json_sink(path, stack),
        "kitti": lambda path: kitti_sink(path, options["label"]),
        "masks": mask_sink,
        "candidates": lambda path: candidate_sink(path, stack),
    }
    return [from_first_frame(partial(makers[name], options[name])) for name in OUTPUTS if options[name]]
