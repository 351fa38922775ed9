"""Record goldens: choose inputs, take the right outputs, measure how much they vary, pack, write."""

from __future__ import annotations

import hashlib
import io
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.atomic_write import write_whole
from verify.compare.tolerance import exceeded
from verify.errors import SurgeonError
from verify.goldens.cases import Plan, plans
from verify.goldens.check import check_golden
from verify.goldens.find import content_hash, find_golden, interface, is_orphan
from verify.goldens.index import INDEX, Golden, arrays_hash, identity, place, read_data, read_index, write_index
from verify.goldens.inputs import make_inputs
from verify.goldens.measure import ReferenceOutputs, record_cases
from verify.goldens.quality.coverage import measure_coverage
from verify.goldens.quality.sensitivity import SECONDS, describe, measure_sensitivity
from verify.goldens.runs import fused_operators, machine, random_operator
from verify.interface.recognise import read_metadata
from verify.report import counted
from verify.run.unrounded import quantizers

if TYPE_CHECKING:
    import onnx

DEFAULT_SEED = 1
OTHER_SEED = 7919
PACKAGES = ("onnx-surgeon", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, repr=False)
class Recording:
    """A golden that was written, and in `changes` what it replaced; empty for a model that had none."""

    golden: Golden
    changes: str = ""

    def __repr__(self) -> str:
        """One line, for a notebook; `golden` has all figures."""
        golden = self.golden
        quality = f"; {describe(golden.sensitivity)}" if golden.sensitivity else ""
        return f"<golden of {golden.id} in {golden.folder}: {counted(len(golden.cases), 'case')}{quality}>"


def record(
    path: Path,
    model: onnx.ModelProto,
    folder: Path,
    *,
    seed: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Sequence[int]] | None = None,
    reference: ReferenceOutputs | None = None,
    made_by: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Record a golden; arguments and errors are those of `verify.record_golden`. `model` may lack its weights."""
    metadata = read_metadata(model)
    match = identity(metadata) or {"file": place(path, folder)}
    name = "-".join(match.values())
    known = read_index(folder) if (folder / INDEX).exists() else []
    earlier = _earlier(path, model, folder, name)
    seed, inputs, sizes = _again(earlier, seed, inputs, sizes)
    changes = what_changed(path, model, earlier) if earlier else ""
    content = content_hash(path, model)
    started = time.perf_counter()
    planned = [[Plan("", dict(inputs))]] if inputs is not None else plans(model, metadata, seed, sizes)
    recorded = record_cases(path, model, planned, reference, progress)
    words = {package: _version(package) for package in PACKAGES}
    words |= {"cpu": machine(), "outputs": "the model itself", "seed": str(seed)}
    data = {key: np.asarray(array) for key, array in recorded.arrays.items()}
    golden = Golden(
        name,
        match,
        words | metadata | dict(made_by or {}),
        _data_file(name),
        recorded.cases,
        folder,
        data_sha256=arrays_hash(recorded.arrays),
        model_sha256=content,
        interface=interface(model),
        settings=_settings(model, seed, sizes),
        notes=recorded.notes,
        sensitivity=measure_sensitivity(
            path,
            recorded.cases,
            data,
            _further(model, metadata, seed, sizes),
            seed,
            SECONDS + (time.perf_counter() - started) / 2,
            progress,
        ),
        coverage=measure_coverage(path, model, [make_inputs(case, data) for case in recorded.cases]),
    )
    _replace(earlier, golden, recorded.arrays, known)
    return Recording(golden, changes)


def _settings(model: onnx.ModelProto, seed: int, sizes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The facts of the model, and the choices of the recording, that a later check or recording needs."""
    return {
        "seed": seed,
        "sizes": {name: list(shape) for name, shape in sizes.items()},
        "quantizers": quantizers(model),
        "fused": fused_operators(model),
        "random": random_operator(model),
    }


def _replace(earlier: Golden | None, golden: Golden, arrays: Mapping[str, Any], known: Sequence[Golden]) -> None:
    """Write a golden in the place of the earlier one, and remove the earlier one's data if no other golden uses it."""
    replaced = {golden.id} | ({earlier.id} if earlier else set())
    others = [other for other in known if other.id not in replaced]
    _write(golden, arrays, others)
    if earlier and earlier.data not in {golden.data, *(other.data for other in others)}:
        (golden.folder / earlier.data).unlink(missing_ok=True)


def _further(
    model: onnx.ModelProto, metadata: Mapping[str, str], seed: int, sizes: Mapping[str, Sequence[int]]
) -> list[Sequence[Plan]]:
    """Cases that a golden of this seed does not have; none where inputs cannot be drawn."""
    try:
        return plans(model, metadata, seed + OTHER_SEED, sizes)
    except SurgeonError:
        return []


def _earlier(path: Path, model: onnx.ModelProto, folder: Path, name: str) -> Golden | None:
    """The golden that a new one of this model replaces: that of its place, or one whose own model is gone."""
    found = find_golden(path, model, [folder]) if (folder / INDEX).exists() else None
    return found.golden if found and (found.golden.id == name or is_orphan(found.golden)) else None


def _again(
    earlier: Golden | None,
    seed: int | None,
    inputs: Mapping[str, Any] | None,
    sizes: Mapping[str, Sequence[int]] | None,
) -> tuple[int, Mapping[str, Any] | None, Mapping[str, Sequence[int]]]:
    """Seed, inputs and sizes to record with: what was given, else those of the earlier golden."""
    settings = earlier.settings if earlier else {}
    if earlier and inputs is None and seed is None and not sizes and len(earlier.cases) == 1:
        tensors = earlier.cases[0].inputs
        if tensors and all(tensor.drawn is None for tensor in tensors):
            inputs = make_inputs(earlier.cases[0], read_data(earlier))
        elif not settings and "file" in earlier.match:
            settings = {"seed": earlier.made_by.get("seed", 1), "sizes": {t.name: t.shape for t in tensors}}
    return (
        int(settings.get("seed", DEFAULT_SEED)) if seed is None else seed,
        inputs,
        sizes or settings.get("sizes", {}),
    )


def what_changed(path: Path, model: onnx.ModelProto, earlier: Golden) -> str:
    """How far the outputs of a model are from an earlier golden of it, in one line."""
    try:
        check, *_ = check_golden(path, model, earlier)
    except SurgeonError as error:
        return f"replaces an earlier golden that cannot be read: {error}"
    tensors: Mapping[str, Mapping[str, Any]] = check.figures.get("tensors", {})
    if not tensors:
        return f"replaces an earlier golden that does not fit: {check.message}"
    furthest: dict[str, float] = {}
    for name, figures in tensors.items():
        output = name.split(" (")[0]
        if exceeded(figures, figures["tolerance"]):
            furthest[output] = max(float(figures.get("rms_rel", math.inf)), furthest.get(output, 0.0))
    moved = [f"{name} moved by {far:.2g} RMS" for name, far in furthest.items()]
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"replaces an earlier golden; {', '.join(moved[:3]) + more if moved else 'outputs as before'}"


def _write(golden: Golden, arrays: Mapping[str, Any], others: Sequence[Golden]) -> None:
    try:
        golden.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SurgeonError(f"{golden.folder}: cannot be made ({error.strerror}); choose another with -o") from None
    content = io.BytesIO()
    np.savez_compressed(content, **dict(arrays))
    write_whole(golden.folder / golden.data, content.getvalue())
    write_index(golden.folder, sorted([*others, golden], key=lambda item: item.id))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _data_file(name: str) -> str:
    """A readable file name that no other golden has."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.")[-100:] + f"-{digits}.npz"
