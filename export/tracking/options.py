"""Prompts as `surgeon track` takes them on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.tracking.frames import read_mask
from export.tracking.prompts import Prompt, Schedule, check_positive
from verify.errors import SurgeonError


@dataclass(frozen=True)
class Plan:
    """What happens by frame: prompts and corrections as {frame: {object id: Prompt}}, removals as {frame: ids}."""

    prompts: Schedule
    corrections: Schedule = field(default_factory=dict)
    removals: Mapping[int, list[int]] = field(default_factory=dict)


def parse(
    boxes: Iterable[str] = (),
    points: Iterable[str] = (),
    masks: Iterable[str] = (),
    corrections: Iterable[str] = (),
    removals: Iterable[str] = (),
) -> Plan:
    """Read `--box`, `--point`, `--mask`, `--correct` and `--remove`.

    Each may begin with `ID=`, `@FRAME=` or `ID@FRAME=`. Without a frame it is frame 0. Boxes and masks without an id
    are objects 1, 2, 3 in the order given; points and corrections without one belong to object 1. Raises SurgeonError
    for anything else, for two boxes or masks on one object in one frame, and for prompts that mark no object.
    """
    schedule: Schedule = {}
    _add_boxes(schedule, boxes)
    _add_masks(schedule, masks)
    _add_points(schedule, points, "--point")
    for prompts in schedule.values():
        for object_id, prompt in prompts.items():
            check_positive(object_id, prompt)
    if not schedule:
        raise SurgeonError("nothing to track; give at least one --box X0,Y0,X1,Y1, --point X,Y,1 or --mask FILE")
    clicks: Schedule = {}
    _add_points(clicks, corrections, "--correct")
    plan = Plan(schedule, clicks, _removals(removals))
    _check_tracked(plan)
    return plan


def _check_tracked(plan: Plan) -> None:
    """SurgeonError for a correction or removal of an object that no prompt has named before."""
    begins: dict[int, int] = {}
    for frame in sorted(plan.prompts, reverse=True):
        begins.update(dict.fromkeys(plan.prompts[frame], frame))
    for frame, clicks in plan.corrections.items():
        for object_id in clicks:
            if begins.get(object_id, frame + 1) > frame:
                raise SurgeonError(f"--correct: object {object_id} has no prompt in frame {frame} or before it")
    for frame, object_ids in plan.removals.items():
        for object_id in object_ids:
            if begins.get(object_id, frame) >= frame:
                raise SurgeonError(f"--remove: object {object_id} has no prompt before frame {frame}")


def _add_boxes(schedule: Schedule, texts: Iterable[str]) -> None:
    for count, text in enumerate(texts, 1):
        object_id, frame, value = _split(text, "--box", count, "X0,Y0,X1,Y1")
        x0, y0, x1, y1 = _numbers(text, "--box", value, "X0,Y0,X1,Y1")
        prompt = schedule.setdefault(frame, {}).setdefault(object_id, Prompt())
        if prompt.box is not None:
            raise SurgeonError(f"--box {text}: object {object_id} already has a box in frame {frame}")
        if x1 <= x0 or y1 <= y0:
            raise SurgeonError(f"--box {text}: expected X0 < X1 and Y0 < Y1, in pixels")
        prompt.box = (x0, y0, x1, y1)


def _add_masks(schedule: Schedule, texts: Iterable[str]) -> None:
    for count, text in enumerate(texts, 1):
        object_id, frame, file = _split(text, "--mask", count, "FILE")
        prompt = schedule.setdefault(frame, {}).setdefault(object_id, Prompt())
        if prompt.mask is not None:
            raise SurgeonError(f"--mask {text}: object {object_id} already has a mask in frame {frame}")
        prompt.mask = read_mask(Path(file))


def _add_points(schedule: Schedule, texts: Iterable[str], option: str) -> None:
    for text in texts:
        object_id, frame, value = _split(text, option, 1, "X,Y,LABEL")
        x, y, label = _numbers(text, option, value, "X,Y,LABEL")
        if label not in (0, 1):
            raise SurgeonError(f"{option} {text}: the label is 1 (object) or 0 (background)")
        schedule.setdefault(frame, {}).setdefault(object_id, Prompt()).points.append((x, y, int(label)))


def _removals(texts: Iterable[str]) -> dict[int, list[int]]:
    removals: dict[int, list[int]] = {}
    for text in texts:
        object_id, _, frame = text.partition("@")
        if not object_id.isdecimal() or not frame.isdecimal():
            raise SurgeonError(f"--remove {text}: expected ID@FRAME, e.g. 2@50")
        removals.setdefault(int(frame), []).append(int(object_id))
    return removals


def _split(text: str, option: str, default_id: int, form: str) -> tuple[int, int, str]:
    """Object, frame and value of `ID@FRAME=VALUE`, whose head may lack either or both."""
    head, separator, value = text.rpartition("=")
    object_text, at, frame_text = head.partition("@")
    try:
        if bool(separator) != bool(head) or (at and not frame_text):
            raise ValueError
        object_id = int(object_text) if object_text else default_id
        frame = int(frame_text) if frame_text else 0
        if object_id < 0 or frame < 0:
            raise ValueError
    except ValueError:
        raise _unreadable(text, option, form) from None
    return object_id, frame, value


def _numbers(text: str, option: str, value: str, form: str) -> list[float]:
    try:
        values = [float(number) for number in value.split(",")]
    except ValueError:
        raise _unreadable(text, option, form) from None
    if len(values) != form.count(",") + 1 or not np.isfinite(values).all():
        raise _unreadable(text, option, form)
    return values


def _unreadable(text: str, option: str, form: str) -> SurgeonError:
    return SurgeonError(f"{option} {text}: expected {form}, or ID=, @FRAME= or ID@FRAME= before it")
