"""Runs an evaluation: finds the videos without a record, evaluates them, and sums up the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from export.evaluation.cluster import check_address, on_ray
from export.evaluation.datasets import Dataset
from export.evaluation.records import store, stored
from export.evaluation.sides import Side
from export.evaluation.totals import object_rows, side_rows, unscored
from export.evaluation.video import Task
from export.evaluation.workers import Execute, LostWorker, in_processes, in_this_process

ATTEMPTS = 2  # a video whose worker was lost is tried once more


@dataclass(frozen=True)
class Evaluation:
    """records   of the videos, in order of side and video; `reused` of them are from an earlier run
    lost      why a video has no record, one line each"""

    records: list[dict[str, Any]]
    reused: int
    lost: list[str]


def executor(workers: int, ray: str | None) -> Execute:
    """This process, processes of this machine, or a Ray cluster; SurgeonError for what is no address of one."""
    if ray is not None:
        check_address(ray)
        return partial(on_ray, address=ray)
    return partial(in_processes, workers=workers) if workers > 1 else in_this_process


def evaluate(
    tasks: Sequence[Task], output: Path, execute: Execute, progress: Callable[[int], None] = lambda done: None
) -> Evaluation:
    """Evaluate the videos that have no record in `output` yet; each record is written as soon as it is there."""
    records = {_place(task): record for task in tasks if (record := stored(task, output))}
    reused = len(records)
    lost: dict[tuple[str, str], str] = {}
    progress(reused)
    remaining = [task for task in tasks if _place(task) not in records]
    for _ in range(ATTEMPTS):
        if not remaining:
            break
        lost = {}
        for task, outcome in execute(remaining):
            if isinstance(outcome, LostWorker):
                lost[_place(task)] = str(outcome)
                continue
            store(task, outcome, output)
            records[_place(task)] = outcome
            progress(len(records))
        remaining = [task for task in remaining if _place(task) in lost]
    ordered = [records[_place(task)] for task in tasks if _place(task) in records]
    return Evaluation(ordered, reused, list(lost.values()))


def _place(task: Task) -> tuple[str, str]:
    return task.side.name, task.video.name


def summary(dataset: Dataset, sides: Sequence[Side], prompt: str, evaluation: Evaluation) -> dict[str, Any]:
    """The results as plain data; J, F and J&F are fractions of 1."""
    from verify.render.data import tool_version

    rows = object_rows(evaluation.records)
    return {
        "surgeon": tool_version(),
        "dataset": str(dataset.root),
        "layout": dataset.layout,
        "videos": dataset.chosen_by,
        "prompt": prompt,
        "sides": side_rows([side.name for side in sides], rows, evaluation.records),
        "objects": rows,
        "unscored": unscored(evaluation.records),
        "lost": evaluation.lost,
    }
