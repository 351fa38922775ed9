"""`verify_model` with a cache: a model that passed is not checked again until something its report depends on changes.

A report is kept only if every file it depends on had the same content before and after the checks: the model, the files
with its weights, the goldens and the spec. Its key has the absolute place of each, because goldens are found by place.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify import cache
from verify.device.kept import DEVICE
from verify.device.kept import places as kept_places
from verify.goldens.find import folders, is_orphan
from verify.goldens.index import INDEX, read_index
from verify.report import Report

if TYPE_CHECKING:
    import onnx

PACKAGES = ("onnx-surgeon", "onnx", "onnxruntime", "numpy", "tensorrt-rtx", "tensorrt")


@dataclass(frozen=True)
class Addition:
    """Something that is added to the report of a model and kept with it.

    add    adds its checks and findings to the report of the file, which is given as it was read
    files  what it depends on besides the model: a change of one makes the reports in the cache void
    key    further text that its result depends on
    """

    add: Callable[[Path, onnx.ModelProto, Report], None]
    files: tuple[Path, ...] = field(default=())
    key: str = ""


def verify_cached(path: Path, options: Mapping[str, Any], addition: Addition | None = None) -> Report:
    """The report of `verify_model(path, **options)` with an addition, from the cache where it can be.

    Raises:
        SurgeonError, MissingBackend: as `verify_model`.
    """
    before = _dependencies(path, options, addition)
    known = cache.load(before.key, path) if before else None
    if known is not None:
        return _with_kept_verdicts(known, path, options)
    from verify.model.read import read_model

    model = read_model(path)
    weights = _weights(path, model)
    report = verify_with(path, model, options, addition)
    unchanged = before == _dependencies(path, options, addition) and weights == _weights(path, model)
    if before and unchanged and report.exit_code == 0:
        cache.save(before.key, report, {name: sha for name, (sha, _) in weights.items()})
    return report


def verify_with(
    path: Path, model: onnx.ModelProto, options: Mapping[str, Any], addition: Addition | None = None
) -> Report:
    """The report of `verify_model(path, **options)` with an addition; `model` is the file as it was read."""
    from verify.api import verify_read_model

    report = verify_read_model(path, model, **options)
    if addition is not None:
        addition.add(path, model, report)
    return report


def _with_kept_verdicts(report: Report, path: Path, options: Mapping[str, Any]) -> Report:
    """A report from the cache with the verdicts of other machines as of today, because they say how old they are."""
    from verify.device.kept import kept_verdicts
    from verify.model.read import read_model

    given = options.get("goldens") or ()
    if not report.verdicts or not kept_places(given):
        return report
    own = [one for one in report.verdicts if one.asked]
    return replace(report, verdicts=own + kept_verdicts(path, read_model(path), given))


@dataclass(frozen=True)
class _Dependencies:
    """What a report depends on besides weights in other files: content, in `key`, and when each file was changed."""

    key: str
    stamps: tuple[cache.Stamp, ...]


def _dependencies(path: Path, options: Mapping[str, Any], addition: Addition | None) -> _Dependencies | None:
    """None where a file cannot be read, which the checks will say."""
    places = folders(options.get("goldens") or ())
    spec = str(options.get("spec") or "")
    files = [path, *([Path(spec)] if spec.endswith(".toml") else [])]
    files += [file for folder in places for file in (folder / INDEX, *sorted(folder.glob("*.npz")))]
    files += [folder / DEVICE for folder in kept_places(options.get("goldens") or ())]
    try:
        content = [f"{os.path.abspath(file)} {cache.file_hash(file)}" for file in files]
        stamps = tuple(cache.stamp(file) for file in files)
    except OSError:
        return None
    gone = [f"{golden.id} {is_orphan(golden)}" for folder in places for golden in read_index(folder)]
    settings = repr(sorted((name, str(value)) for name, value in options.items()))
    here = [platform.node(), os.environ.get("SURGEON_TENSORRT", "")]
    own = [] if addition is None else [addition.key, *(f"{file} {cache.stamp(file)}" for file in addition.files)]
    parts = [*cache.tools(PACKAGES), *here, settings, *content, *gone, *own]
    return _Dependencies(cache.text_hash("\n".join(parts)), stamps)


def _weights(path: Path, model: onnx.ModelProto) -> dict[str, tuple[str, cache.Stamp]]:
    """SHA-256 and stamp of each file beside the model that holds its weights, by its path from there."""
    from verify.model.external import external_files

    files = external_files(path, model)
    return {os.path.relpath(file, path.parent): (cache.file_hash(file), cache.stamp(file)) for file in files}
