"""The stock `SAM2VideoPredictor` on a folder of JPEG frames: the reference of the closed loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from export.tracking.modules import Array
from export.tracking.prompts import Prompt

KINDS = ("cond_frame_outputs", "non_cond_frame_outputs")


@dataclass(frozen=True)
class StockResult:
    """One object in one frame by the stock predictor.

    video_logits   float32 [height, width], above zero where the object is
    logits         float32 [S / 4, S / 4]
    candidates     float32 [4, S / 4, S / 4]: the single mask and the three of the multi-mask output, before choosing
    ious           float32 [4], the predicted quality of each candidate
    stability      of the single mask minus its threshold, where that decides the choice; else None
    score          the occlusion logit
    choice         index of the candidate that was chosen; None where a mask prompt is the result
    """

    video_logits: Array
    logits: Array
    candidates: Array
    ious: Array
    stability: float | None
    score: float
    choice: int | None

    @property
    def choice_margin(self) -> float:
        """Margin of the choice of the mask: its least distance to a tie or to the threshold of stability."""
        if self.choice is None:
            return float("inf")
        ranked = np.sort(self.ious[1:])
        gap = float(ranked[-1] - ranked[-2])
        if self.stability is None:
            return gap
        distance = abs(self.stability)
        return distance if self.choice == 0 else min(distance, gap)


def track(
    predictor: Any,
    folder: Path,
    schedule: Mapping[int, Mapping[int, Prompt]],
    frames: int,
    removals: Mapping[int, list[int]] | None = None,
    corrections: Mapping[int, Mapping[int, Prompt]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[dict[int, StockResult]]:
    """Track `frames` frames of `folder` (00000.jpg ...); objects are added and removed at their frames.

    `corrections` are clicks on what was tracked, by frame and object. Objects are added with `add_new_points_or_box`
    or `add_new_mask` once every earlier frame has been tracked, as in a live
    stream: prompts given before the start would make the stock predictor track back to frame 0 as well.
    Its pointer distances are divided by min(number of frames, 16) - 1; the folder must hold 16 frames or more
    for that to be the 15 of a long video, which is what the exported files compute.
    """
    removals, corrections = removals or {}, corrections or {}
    with redirect_stderr(StringIO()):
        state = predictor.init_state(str(folder))
    stops = (*schedule, *removals, *(frame + 1 for frame in corrections))
    starts = sorted({start for start in stops if start < frames})
    seen: dict[tuple[int, int], dict[str, Any]] = {}
    results: list[dict[int, StockResult]] = [{} for _ in range(frames)]
    with _DecoderRecorder(predictor, seen):
        for start, end in zip(starts, [*starts[1:], frames], strict=True):
            for object_id in removals.get(start, ()):
                predictor.remove_object(state, object_id, need_output=False)
            prompts = schedule.get(start, {})
            add_prompts(predictor, state, start, prompts)
            # A click on a prompted frame comes before the object is tracked through it, as in an annotation tool.
            clicks = corrections.get(start, {})
            add_prompts(predictor, state, start, {i: clicks[i] for i in clicks if i in prompts}, keep=True)
            with redirect_stderr(StringIO()):
                _propagate(predictor, state, start, end, seen, results, progress)
            late = {i: click for i, click in corrections.get(end - 1, {}).items() if i not in schedule.get(end - 1, {})}
            for object_id, mask in add_prompts(predictor, state, end - 1, late, keep=True).items():
                results[end - 1][object_id] = _stored(state, object_id, end - 1, mask, seen)
    return results


def add_prompts(
    predictor: Any, state: Any, frame: int, prompts: Mapping[int, Prompt], *, keep: bool = False
) -> dict[int, Any]:
    """Add prompts, beside the clicks that are there with `keep`; returns each object's logits at the video's size."""
    masks: dict[int, Any] = {}
    for object_id, prompt in prompts.items():
        points = [point[:2] for point in prompt.points]
        labels = [point[2] for point in prompt.points]
        with redirect_stderr(StringIO()):
            if prompt.mask is not None:
                _, ids, found = predictor.add_new_mask(state, frame, object_id, prompt.mask)
            else:
                options = {"box": prompt.box, "clear_old_points": not keep}
                _, ids, found = predictor.add_new_points_or_box(
                    state, frame, object_id, points=points or None, labels=labels or None, **options
                )
        masks[object_id] = found[ids.index(object_id)]
    return masks


def _stored(
    state: Any, object_id: int, frame: int, mask: Any, seen: Mapping[tuple[int, int], dict[str, Any]]
) -> StockResult:
    """The predictor's stored outputs of an object in a frame; corrections not encoded yet come first."""
    index = state["obj_id_to_idx"][object_id]
    memory = state["output_dict_per_obj"][index]
    places = [outputs[kind] for outputs in (state["temp_output_dict_per_obj"][index], memory) for kind in KINDS]
    stored = next(place[frame] for place in places if frame in place)
    return StockResult(
        video_logits=mask[0].numpy().copy(),
        logits=stored["pred_masks"][0, 0].numpy().copy(),
        score=float(stored["object_score_logits"][0, 0]),
        **seen[frame, id(memory)],
    )


def _propagate(
    predictor: Any,
    state: Any,
    start: int,
    end: int,
    seen: Mapping[tuple[int, int], dict[str, Any]],
    results: list[dict[int, StockResult]],
    progress: Callable[[int], None] | None,
) -> None:
    steps = predictor.propagate_in_video(state, start_frame_idx=start, max_frame_num_to_track=end - 1 - start)
    for frame, ids, masks in steps:
        for object_id, mask in zip(ids, masks, strict=True):
            results[frame][object_id] = _stored(state, object_id, frame, mask, seen)
        if progress:
            progress(frame)


class _DecoderRecorder:
    """While open, records the candidates of the mask decoder for each (frame, object's memory)."""

    def __init__(self, predictor: Any, seen: dict[tuple[int, int], dict[str, Any]]) -> None:
        self.predictor, self.seen = predictor, seen
        self.last: dict[str, Any] = {}

    def __enter__(self) -> None:
        decoder = self.predictor.sam_mask_decoder
        predict_masks, forward, track_step = decoder.predict_masks, decoder.forward, self.predictor.track_step

        def recording_predict(*args: Any, **kwargs: Any) -> Any:
            outputs = predict_masks(*args, **kwargs)
            self.last = {"candidates": outputs[0][0].numpy().copy(), "ious": outputs[1][0].numpy().copy()}
            return outputs

        def recording_forward(*args: Any, **kwargs: Any) -> Any:
            outputs = forward(*args, **kwargs)
            self.last |= _choice(decoder, self.last, bool(kwargs["multimask_output"]))
            return outputs

        def recording_step(*args: Any, **kwargs: Any) -> Any:
            outputs = track_step(*args, **kwargs)
            if kwargs["mask_inputs"] is not None:
                self.last = {**self.last, "choice": None, "stability": None}
            self.seen[kwargs["frame_idx"], id(kwargs["output_dict"])] = self.last
            return outputs

        decoder.predict_masks, decoder.forward = recording_predict, recording_forward
        self.predictor.track_step = recording_step

    def __exit__(self, *_: object) -> None:
        # The instance attributes hide the class's methods; removing them restores the methods.
        del self.predictor.sam_mask_decoder.predict_masks, self.predictor.sam_mask_decoder.forward
        del self.predictor.track_step


def _choice(decoder: Any, offered: Mapping[str, Array], multimask: bool) -> dict[str, Any]:
    """Which candidate the stock rules choose, and the single mask's stability minus its threshold."""
    import torch

    best = 1 + int(np.argmax(offered["ious"][1:]))
    if multimask:
        return {"choice": best, "stability": None}
    score = float(decoder._get_stability_scores(torch.from_numpy(offered["candidates"][:1])))
    distance = score - decoder.dynamic_multimask_stability_thresh
    return {"choice": 0 if distance >= 0 else best, "stability": distance}
