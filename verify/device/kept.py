"""Verdicts of other machines, kept in device.json beside the golden for a later `verify` without a GPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.atomic_write import write_whole
from verify.device.age import age
from verify.device.results.log import judge_name
from verify.errors import SurgeonError
from verify.goldens.find import content_hash, default_folder, find_golden, folders, shipped
from verify.report import Verdict

if TYPE_CHECKING:
    import onnx

    from verify.device.check import DeviceRun

DEVICE = "device.json"
FORMAT = 1
FIELDS = ("golden", "sha256", "tensorrt", "gpu", "capability", "precision", "date", "state", "message")
SAME = ("golden", "tensorrt", "gpu", "precision")  # a later run with these the same replaces an earlier one


@dataclass(frozen=True)
class Kept:
    """One verdict of a machine; the fields of `verify.device.check.DeviceRun`, `golden` is the id of its golden."""

    golden: str
    sha256: str
    tensorrt: str
    gpu: str
    capability: str
    precision: str
    date: str
    state: str
    message: str


def keep(run: DeviceRun, given: Sequence[Path] = ()) -> Path:
    """Write a run into device.json beside its golden, or in `./golden` where the golden came with surgeon.

    Raises:
        SurgeonError: the run has no verdict to keep, or the file cannot be read or written.
    """
    if run.golden is None or not run.sha256:
        raise SurgeonError(f"nothing was kept: {run.message}")
    folder = run.golden.folder
    came = shipped()
    if not given and came is not None and folder.resolve() == came.resolve():
        folder = default_folder()
        folder.mkdir(parents=True, exist_ok=True)
    values = {name: getattr(run, name) for name in FIELDS if name != "golden"} | {"golden": run.golden.id}
    new = Kept(**{name: str(values[name]) for name in FIELDS})
    others = [one for one in read_kept(folder) if any(getattr(one, key) != getattr(new, key) for key in SAME)]
    rows = sorted([*others, new], key=lambda one: tuple(getattr(one, key) for key in SAME))
    content = {"format": FORMAT, "runs": [vars(one) for one in rows]}
    write_whole(folder / DEVICE, (json.dumps(content, indent=1) + "\n").encode())
    return folder / DEVICE


def read_kept(folder: Path) -> list[Kept]:
    """The verdicts of a folder; empty where it has none.

    Raises:
        SurgeonError: the file is damaged.
    """
    path = folder / DEVICE
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        return [Kept(**{name: str(entry[name]) for name in FIELDS}) for entry in content["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SurgeonError(f"{path}: not a file of device verdicts ({error}); remove it and verify again") from None


def places(given: Sequence[Path] = ()) -> list[Path]:
    """Folders that may hold a device.json."""
    found = [*given] if given else [default_folder(), *folders()]
    return [folder for folder in dict.fromkeys(found) if (folder / DEVICE).is_file()]


def kept_verdicts(path: Path, model: onnx.ModelProto, given: Sequence[Path] = ()) -> list[Verdict]:
    """Earlier verdicts of other machines on this model; each is unknown if the file has changed since.

    Raises:
        SurgeonError: a file of verdicts is damaged.
    """
    found = find_golden(path, model, folders(given)) if places(given) else None
    if found is None:
        return []
    rows = [one for folder in places(given) for one in read_kept(folder) if one.golden == found.golden.id]
    sha256 = content_hash(path, model) if rows else ""
    return [_verdict(one, one.sha256 == sha256) for one in rows]


def _verdict(one: Kept, same: bool) -> Verdict:
    judge = judge_name(one.tensorrt, one.gpu)
    if not same:
        message = f"ran {age(one.date)}, but the file has changed since; run it there again"
        return Verdict(judge, "unknown", message, asked=False)
    state: Any = one.state if one.state in ("accepted", "refused") else "unknown"
    return Verdict(judge, state, one.message.replace("{when}", age(one.date)), asked=False)
