"""Compare exported files with stock SAM2, on a real photo and on what stock SAM2 computes from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.stock.modules import Tensors, run_stock
from surgery.precision.measure import error as half_precision_error
from verify.compare.error import measure
from verify.interface.spec import Spec

# Limits of error / RMS of the tensor: about eight times the errors of correct files (2.9e-5 and 8e-7).
LARGEST, MEDIAN = 2.4e-4, 6.4e-6
EDGE = LARGEST  # of the logits' RMS: a pixel this near to zero may round to either side when binarised
BOXES = [(0.25, 0.1, 0.7, 0.6), (0.1, 0.5, 0.5, 0.98), (0.55, 0.4, 0.9, 0.9), (0.05, 0.05, 0.45, 0.4)]
MEMORY_CASES = ((1, 1), (7, 16))


@dataclass(frozen=True)
class Error:
    """Error of one output in one case, relative to the RMS of stock's tensor; `edge` counts pixels left out.

    `rms` is the root mean square of the difference, for a binary mask the share of pixels that differ.
    """

    module: str
    case: str
    output: str
    largest: float
    median: float
    edge: int = 0
    rms: float = 0.0

    @property
    def good(self) -> bool:
        return self.largest <= LARGEST and self.median <= MEDIAN


@dataclass(frozen=True)
class Case:
    module: str
    name: str
    inputs: Tensors


def cases(
    model: Any,
    modules: Iterable[str],
    *,
    semantics: str = "sam2",
    objects: int = 1,
    memory: Iterable[tuple[int, int]] = MEMORY_CASES,
) -> Iterator[tuple[Case, dict[str, Tensor]]]:
    """Inputs and stock's outputs: the photo, then boxes and points on it, then memories of those masks.

    `memory` lists (frames, pointers). With `objects` above 1 the memory modules get that many at once.
    """
    wanted = set(modules)
    image = {"image": photo(model.image_size)}
    encoded = run_stock("image_encoder", model, image, semantics)
    if "image_encoder" in wanted:
        yield Case("image_encoder", "photo", image), encoded
    decoded: list[dict[str, Tensor]] = []
    for name, inputs in prompts(encoded, model.image_size):
        decoded.append(run_stock("mask_decoder", model, inputs, semantics))
        if "mask_decoder" in wanted:
            yield Case("mask_decoder", name, inputs), decoded[-1]
    if "mask_decoder_prompts" in wanted:
        for (name, inputs), before in zip(prompts(encoded, model.image_size), decoded, strict=True):
            prompted = with_mask(inputs, before["pred_mask"])
            found = run_stock("mask_decoder_prompts", model, prompted, semantics)
            yield Case("mask_decoder_prompts", f"{name} and a mask", prompted), found
    masks = torch.cat([d["mask_for_mem"] for d in decoded])
    remembered = []
    for start in range(0, masks.shape[0], objects):
        inputs = _encoder_inputs(masks, encoded, start, objects)
        remembered.append(run_stock("memory_encoder", model, inputs, semantics))
        if "memory_encoder" in wanted and start < 3 * objects:
            yield Case("memory_encoder", f"mask {start}, {objects} objects", inputs), remembered[-1]
    if "memory_attention" not in wanted:
        return
    features = torch.cat([r["maskmem_features"] for r in remembered])
    pointers = torch.cat([d["obj_ptr"] for d in decoded])
    for frames, count in memory:
        inputs = _attention_inputs(encoded, remembered[0], features, pointers, (objects, frames, count))
        name = f"{frames} frames, {count} pointers, {objects} objects"
        yield Case("memory_attention", name, inputs), run_stock("memory_attention", model, inputs, semantics)


def photo(size: int) -> Tensor:
    """The stored photo, normalised: float32 [1, 3, size, size]."""
    from verify.inputs.seeded import draw

    return torch.from_numpy(draw("photo", (1, 3, size, size), "float32", ""))


def prompts(encoded: Tensors, size: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Boxes, one click, three clicks and no prompt, as decoder inputs on an unconditioned frame."""
    boxes = torch.tensor(BOXES).reshape(-1, 2, 2) * size
    click = boxes.mean(1, keepdim=True)
    clicks = torch.cat([click, boxes], dim=1)
    for name, coords, labels in (
        ("box", boxes, [2.0, 3.0]),
        ("one click", click, [1.0]),
        ("three clicks", clicks, [1.0, 0.0, 1.0]),
        ("no prompt", torch.zeros_like(click[:1]), [-1.0]),
    ):
        count = coords.shape[0]
        yield (
            name,
            {
                "point_coords": coords,
                "point_labels": torch.tensor([labels] * count),
                "image_embed": encoded["vision_feats"].repeat(count, 1, 1, 1),
                "high_res_feats_0": encoded["high_res_feat0"],
                "high_res_feats_1": encoded["high_res_feat1"],
            },
        )


def with_mask(inputs: Tensors, logits: Tensor) -> dict[str, Tensor]:
    """Decoder inputs with the mask logits of before, as the video predictor clamps them; every third has none."""
    given = (torch.arange(logits.shape[0]) % 3 != 2).float()
    return {**inputs, "mask_input": logits.clamp(-32.0, 32.0), "has_mask_input": given}


def _encoder_inputs(masks: Tensor, encoded: Tensors, start: int, objects: int) -> dict[str, Tensor]:
    rows = torch.arange(start, start + objects) % masks.shape[0]
    visible = torch.where(torch.arange(start, start + objects) % 3 == 1, -2.0, 4.0)
    return {"mask_for_mem": masks[rows], "pix_feat": encoded["pix_feat"], "occ_logit": visible[:, None]}


def _attention_inputs(
    encoded: Tensors, memory: Tensors, features: Tensor, pointers: Tensor, sizes: tuple[int, int, int]
) -> dict[str, Tensor]:
    """A memory bank as a tracker fills it: the prompted frame first, then the oldest of the others."""
    objects, frames, count = sizes
    rows = torch.arange(objects)[:, None] + torch.arange(max(frames, count))
    code = memory["temporal_code"].flatten(1)
    order = torch.tensor([code.shape[0] - 1, *range(frames - 2, -1, -1)])[:frames]
    position = memory["maskmem_pos_enc"][:1] + code[order][:, None]
    blank = torch.zeros(1, 4 * count, position.shape[-1])
    return {
        "current_vision_feat": encoded["vision_feats"],
        "current_vision_pos_embed": encoded["vision_pos_embed"],
        "memory_0": pointers[rows[:, :count] % pointers.shape[0]],
        "memory_1": features[rows[:, :frames] % features.shape[0]],
        "memory_pos_embed": torch.cat([position.flatten(0, 1)[None], blank], dim=1).repeat(objects, 1, 1),
        "cond_frame_id_diff": torch.tensor(float(count)),
    }


def compare_files(model: Any, paths: Mapping[str, Path], specs: Mapping[str, Spec], **options: Any) -> Iterator[Error]:
    """Every output of every case of `cases` (which takes `options`), file against stock, in graph order.

    `paths` and `specs` are by module. Files run in onnxruntime without graph rewriting.
    """
    from verify.errors import SurgeonError
    from verify.run.session import open_session

    session, opened = None, ""
    for case, expected in cases(model, paths, **options):
        if case.module != opened:
            session, opened = open_session(paths[case.module], backend="onnxruntime", threads=2), case.module
        assert session is not None
        feeds = {port.name: case.inputs[port.name].numpy() for port in specs[case.module].inputs}
        run = session.run(feeds)
        if run.error:
            raise SurgeonError(f"{paths[case.module]} does not run on {case.name}: {run.error}")
        for output in expected:
            yield _error(case, output, run.outputs, expected)


def _error(case: Case, output: str, got: Mapping[str, Any], expected: Tensors) -> Error:
    wanted = expected[output].detach().numpy().astype(np.float64)
    if got[output].shape != wanted.shape:
        return Error(case.module, case.name, output, float("inf"), float("inf"), rms=float("inf"))
    measured = measure(got[output], wanted)
    relative = measured.gaps / measured.rms
    edge = 0
    if output == "mask_for_mem" and case.module.startswith("mask_decoder"):
        near = _near_zero(expected["pred_mask"], wanted.shape[-1]) & (np.abs(np.abs(wanted) - 10.0) == 0.0)
        edge = int(np.count_nonzero(near & (relative > LARGEST)))
        relative = np.where(near & (relative > LARGEST), 0.0, relative)
    rms = half_precision_error(wanted.astype(np.float32), got[output])
    if not measured.same_places:
        relative = np.full_like(relative, np.inf)
    return Error(case.module, case.name, output, float(relative.max()), float(np.median(relative)), edge, rms)


def _near_zero(logits: Tensor, size: int) -> Any:
    """Pixels whose logit is so close to zero that rounding decides the binary mask: bool [B, 1, size, size]."""
    enlarged = torch.nn.functional.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)
    return (enlarged.abs() < EDGE * logits.square().mean().sqrt()).numpy()
