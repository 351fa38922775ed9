"""Seconds a frame and peak memory of the files in onnxruntime and of stock SAM2 in torch, on a CPU in one run.

    python -m benchmarks.beside_stock DIR --objects 3 --keep beside_stock.json
    python -m benchmarks.beside_stock --keep beside_stock.json > benchmarks/results/beside_stock.md

DIR holds files of `surgeon export --target onnxruntime --batch dynamic`. The two trackers are processes that take
turns frame by frame, so that neither runs while the other does and both meet the same load of the machine. They track
the first frame, fill the memory with copies of it up to seven frames, and track the frames that are measured. Every
finished row is written to `--keep`; the second command prints the page.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.tables import table

FULL = 7  # frames in memory: the first and six copies of it
SIDES = ("ours", "stock")
HEAD = (
    "files",
    "objects",
    "stock, processor s a frame",
    "ours, processor s a frame",
    "of stock",
    "first frame, of stock",
    "seconds a frame, of stock",
    "stock, peak MB",
    "ours, peak MB",
    "of stock",
    "operations, of stock",
    "load",
)


# What the rows mean; the figures in it were measured on the machine of the rows.
LIMITS = """\
The aims were 0.40 of stock's seconds for tiny and 0.60 for large. They are not reached, and in float32 they are
out of reach on this processor:

- Both sides compute about as fast: 64 and 67 (ours, one and three objects of tiny) and 66 and 71 (stock) thousand
  million operations in a processor second. What is saved is what the exact rewrites save in operations.
- 0.40 would need 128 of them with one object of tiny and 129 with three. The fastest product measured on this
  processor, 2048 x 2048 in OpenBLAS, computes 80 to 87. With large, ours computes 56 and stock 53 in the row above;
  0.60 of stock's processor time would need 81 for everything, as many as one large product reaches alone.
- Of a frame's processor time (tiny, one object) memory attention takes 55 %, the image encoder 42 %, the memory
  encoder 2 %, the mask decoder and all that is outside of onnxruntime 0.6 % each. Both cores are busy for 1.91 of 2
  seconds, so running the modules side by side could save 4 % at most.
- A form of the attention with half of the multiplications of query with key was measured and takes three times as
  long, because its parts have their pixels in different orders (docs/decisions.md).\
"""


def measure(folder: Path, objects: int, frames: int) -> dict[str, Any]:
    """Seconds, processor seconds and peak memory of both sides: of frames with a full memory, and of the first."""
    import onnx

    from verify.interface.recognise import read_metadata

    command = [sys.executable, "-m", "benchmarks.beside_stock", str(folder), "--objects", str(objects)]
    quiet = {**os.environ, "TQDM_DISABLE": "1"}  # stock SAM2 draws progress bars
    sides = {side: subprocess.Popen([*command, "--side", side], env=quiet, **PIPES) for side in SIDES}
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(1 + frames):
        for side, process in sides.items():
            found[side].append(_turn(process))
            print(side, found[side][-1], file=sys.stderr, flush=True)
    for process in sides.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    facts = read_metadata(onnx.load(folder / "mask_decoder.onnx", load_external_data=False))
    row: dict[str, Any] = {
        "files": f"{facts['model_type']} {facts['model_version']}, {facts['image_size']} px",
        "checkpoint": facts["checkpoint"],
        "objects": objects,
        "frames": frames,
        "load": round(os.getloadavg()[0], 1),
    }
    for side, turns in found.items():
        for figure in ("seconds", "processor"):
            row[f"{side}_{figure}"] = statistics.mean(turn[figure] for turn in turns[1:])
            row[f"{side}_first_{figure}"] = turns[0][figure]
        row[f"{side}_peak"] = turns[-1]["peak"]
    return {**row, **operations(facts["model_type"], facts["model_version"], int(facts["image_size"]), objects)}


def operations(model_type: str, version: str, size: int, objects: int) -> dict[str, float]:
    """Floating-point operations, in units of 1e9, of the image encoder and of the objects' memory attention.

    Those of the matrix products and convolutions, of a frame with FULL memories and 16 pointers and one call for each
    object, counted on tensors without storage.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counts = dict.fromkeys((f"{side}_operations" for side in SIDES), 0.0)
    with torch.device("meta"), torch.inference_mode():
        for side, (encode, attend) in _calls(model_type, version, size).items():
            for call, times in ((encode, 1), (attend, objects)):
                with FlopCounterMode(display=False) as counter:
                    call()
                counts[f"{side}_operations"] += times * counter.get_total_flops() / 1e9
    return counts


def _calls(model_type: str, version: str, size: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """For each side, functions that encode an image and attend to a full memory, on the device "meta"."""
    import torch

    from export.modules.image_encoder import ImageEncoder
    from export.modules.memory_attention import POINTER_TOKENS, MemoryAttention
    from export.weights.sam2_model import build

    with torch.device("cpu"):
        model, side = build(model_type, version, size), size // 16
        encoder, attention = ImageEncoder(model).to("meta"), MemoryAttention(model, "chunked").to("meta")
    model.to("meta")
    for layer in model.memory_attention.layers:
        for part in (layer.self_attn, layer.cross_attn_image):
            part.freqs_cis = part.freqs_cis.to("meta")
    image, now, feature = torch.empty(1, 3, size, size), torch.empty(side * side, 1, 256), (1, 256, side, side)
    pointers = POINTER_TOKENS * 16
    memory = torch.empty(FULL * side * side + pointers, 1, 64)
    past = torch.empty(1, 16, 256), torch.empty(1, FULL, 64, side, side), memory.transpose(0, 1), torch.empty(())
    stock = {"curr": [now], "curr_pos": [now], "memory": memory, "memory_pos": memory, "num_obj_ptr_tokens": pointers}
    return {
        "ours": (lambda: encoder(image), lambda: attention(torch.empty(feature), now, *past)),
        "stock": (lambda: model.forward_image(image), lambda: model.memory_attention(**stock)),
    }


PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


def _turn(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    answer: dict[str, float] = json.loads(process.stdout.readline())
    return answer


def track(side: str, folder: Path, objects: int) -> None:
    """In a process of its own: track one frame for each line on standard input, and print what it took."""
    import numpy as np
    from PIL import Image

    from export.stock.closed_loop import photo_clip, write_clip
    from export.tracking.prompts import Prompt

    images = photo_clip(16)
    prompts = {number + 1: Prompt(box=(60.0 + 60 * number, 45, 180.0 + 60 * number, 210)) for number in range(objects)}
    with tempfile.TemporaryDirectory() as clip:
        write_clip(images, Path(clip))
        pictures = [np.asarray(Image.open(Path(clip) / f"{index:05d}.jpg")) for index in range(len(images))]
        steps = _ours(folder, pictures, prompts) if side == "ours" else _stock(folder, Path(clip), prompts)
        for _ in sys.stdin:
            begin, used = time.perf_counter(), time.process_time()
            next(steps)
            spent = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - used}
            print(json.dumps({**spent, "peak": peak_megabytes()}), flush=True)


def _ours(folder: Path, pictures: list[Any], prompts: dict[int, Any]) -> Iterator[Any]:
    from export.tracking.modules import load
    from export.tracking.tracker import Tracker

    tracker = Tracker(load(folder))
    yield [result.mask for result in tracker.step(pictures[0], prompts).values()]
    tracker._remember_latest()
    for bank in tracker.banks.values():
        for frame in range(1, FULL):
            bank.remember(frame, *bank.prompted[0], prompted=False)
    tracker.index = FULL
    for picture in pictures[FULL:]:
        yield [result.mask for result in tracker.step(picture).values()]


def _stock(folder: Path, clip: Path, prompts: dict[int, Any]) -> Iterator[Any]:
    from export.stock.closed_loop import stock_predictor
    from export.stock.predictor import add_prompts
    from export.tracking.modules import load

    predictor = stock_predictor(load(folder, memory=False), folder)
    state = predictor.init_state(str(clip))
    add_prompts(predictor, state, 0, prompts)
    yield from predictor.propagate_in_video(state, 0, max_frame_num_to_track=0)
    for outputs in state["output_dict_per_obj"].values():
        first = outputs["cond_frame_outputs"][0]
        outputs["non_cond_frame_outputs"].update(dict.fromkeys(range(1, FULL), first))
    yield from predictor.propagate_in_video(state, FULL)


def peak_megabytes() -> float:
    """The most memory that this process has had at a time, as Linux counts it."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def page(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    cells = []
    for row in rows:
        kinds = ("processor", "seconds", "peak", "operations")
        ratios = {kind: f"{row[f'ours_{kind}'] / row[f'stock_{kind}']:.2f}" for kind in kinds}
        processor = [f"{row[f'{side}_processor']:.1f}" for side in ("stock", "ours")]
        ratios["first"] = ""  # rows that were measured before the first frame was kept
        if "ours_first_processor" in row:
            ratios["first"] = f"{row['ours_first_processor'] / row['stock_first_processor']:.2f}"
        peak = [f"{row[f'{side}_peak']:.0f}" for side in ("stock", "ours")]
        cells.append(
            [
                row["files"],
                str(row["objects"]),
                *processor,
                ratios["processor"],
                ratios["first"],
                ratios["seconds"],
                *peak,
                ratios["peak"],
                ratios["operations"],
                str(row["load"]),
            ]
        )
    lines = [
        "# Processor time and memory beside stock SAM2",
        "",
        "Reference weights; onnxruntime beside torch, frame by frame in turns; frames with seven memories. Where the "
        "load is far above the number of cores (2), other programs ran as well: read the processor time, the sum over "
        "both cores, and not the ratio of the seconds. Both sides compute in float32; the ratio of the operations, of "
        "matrix products and convolutions, is what both would take at equal operations a second.",
        "",
        table(HEAD, cells),
        "",
        LIMITS,
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure one row, or print the page of those that were measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside_stock", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--frames", type=int, default=2, help="measured frames")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        track(options.side, options.folder, options.objects)
        return 0
    if options.keep is None:
        parser.error("give --keep FILE")
    rows = json.loads(options.keep.read_text("utf-8")) if options.keep.is_file() else []
    if options.folder is None:
        print(page(rows))
        return 0
    rows.append(measure(options.folder, options.objects, options.frames))
    options.keep.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
