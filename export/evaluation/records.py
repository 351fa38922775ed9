"""Records of finished videos on disk, so that an interrupted evaluation continues where it stopped."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from export.evaluation.video import Task
from verify.atomic_write import write_whole

FORMAT = 1  # increase it when the same input would give other numbers


def stored(task: Task, output: Path) -> dict[str, Any] | None:
    """The record of an earlier run with the same models, frames, annotations and prompts; else None."""
    try:
        record: dict[str, Any] = json.loads(_path(task, output).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if record.get("key") != _key(task):
        return None
    return {**record, "side": task.side.name}


def store(task: Task, record: dict[str, Any], output: Path) -> None:
    """Write a record in one step, so that no reader sees half of it."""
    path = _path(task, output)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({**record, "key": _key(task)}, indent=1).encode())


def _path(task: Task, output: Path) -> Path:
    return output / "videos" / f"{task.side.fingerprint[:16]}-{task.prompt}" / f"{task.video.name}.json"


def _key(task: Task) -> str:
    """A key of all that a record depends on: models, prompts, and name, size and time of the video's files."""
    video = task.video
    files = [*video.frames, *sorted(video.masks.rglob("*.png"))]
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    text = repr((FORMAT, task.side.fingerprint, task.prompt, video.layout, facts))
    return sha256(text.encode()).hexdigest()
