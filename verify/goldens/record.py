"""Record goldens: choose inputs, take the right outputs, measure how much they vary, pack, write."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify.atomic_write import write_whole
from verify.compare.statistics import Limits, judge
from verify.compare.tolerance import derive, exceeded
from verify.errors import SurgeonError
from verify.goldens.cases import Plan, plans
from verify.goldens.check import check_golden, digest, make_inputs, store
from verify.goldens.compact import pack, statistics
from verify.goldens.find import content_hash, find_golden, interface, is_orphan
from verify.goldens.index import (
    INDEX,
    Case,
    Golden,
    Tensor,
    arrays_hash,
    identity,
    place,
    read_data,
    read_index,
    write_index,
)
from verify.inputs.seeded import draw
from verify.interface.recognise import read_metadata
from verify.run.session import open_session

if TYPE_CHECKING:
    import onnx

# Given inputs, the outputs to record, from another source than the model itself.
ReferenceOutputs = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# A tensor whose RMS error from run to run is above this share of its RMS shows no change.
MOST_NOISE = 0.01
DEFAULT_SEED = 1
PACKAGES = ("onnx-surgeon", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Recording:
    """A golden that was written, and in `changes` what it replaced; empty for a model that had none."""

    golden: Golden
    changes: str = ""


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
    planned = [Plan("", dict(inputs))] if inputs is not None else plans(model, metadata, seed, sizes)
    recorded = [_record_case(path, plan, f"c{number}", reference, progress) for number, plan in enumerate(planned)]
    arrays = {key: array for _, packed in recorded for key, array in packed.items()}
    words = {package: _version(package) for package in PACKAGES} | {"outputs": "the model itself", "seed": str(seed)}
    golden = Golden(
        name,
        match,
        words | metadata | dict(made_by or {}),
        _data_file(name),
        tuple(case for case, _ in recorded),
        folder,
        data_sha256=arrays_hash(arrays),
        model_sha256=content,
        interface=interface(model),
        settings={"seed": seed, "sizes": {name: list(shape) for name, shape in sizes.items()}},
    )
    replaced = {name} | ({earlier.id} if earlier else set())
    others = [other for other in known if other.id not in replaced]
    _write(golden, arrays, others)
    if earlier and earlier.data not in {golden.data, *(other.data for other in others)}:
        (folder / earlier.data).unlink(missing_ok=True)
    return Recording(golden, changes)


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
        (check,) = check_golden(path, model, earlier)
    except SurgeonError as error:
        return f"replaces an earlier golden that cannot be read: {error}"
    tensors: Mapping[str, Mapping[str, Any]] = check.figures.get("tensors", {})
    if not tensors:
        return f"replaces an earlier golden that does not fit: {check.message}"
    moved = [
        f"{name} moved by {figures['rms_rel']:.2g} RMS" if "rms_rel" in figures else f"{name}: {figures['problem']}"
        for name, figures in tensors.items()
        if exceeded(figures, figures["tolerance"])
    ]
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"replaces an earlier golden; {', '.join(moved[:3]) + more if moved else 'outputs as before'}"


def _record_case(
    path: Path, plan: Plan, prefix: str, reference: ReferenceOutputs | None, progress: Callable[[str], None]
) -> tuple[Case, dict[str, Any]]:
    given = plan.arrays()
    runs = _runs(path, given, progress)
    start, first = next(runs)
    outputs = dict(reference(given)) if reference else first
    names = list(first)
    arrays: dict[str, Any] = {}
    for index, name in enumerate(names):
        if name not in outputs:
            raise SurgeonError(f"{path}: nothing to hold output {name!r} against")
        arrays |= {f"{prefix}o{index}.{key}": array for key, array in pack(np.asarray(outputs[name])).items()}
    varied: dict[str, dict[str, Any]] = {name: {} for name in names}
    for label, found in [(start, first), *runs] if reference else runs:
        for index, name in enumerate(names):
            varied[name][label] = _difference(found[name], outputs[name], arrays, f"{prefix}o{index}.", path, name)
    tensors = [
        _output(name, np.asarray(outputs[name]), f"{prefix}o{index}", varied[name]) for index, name in enumerate(names)
    ]
    stored, drawn = _inputs(plan, given, prefix)
    case = Case(plan.name, tuple(drawn), tuple(tensors), digest(given))
    return case, arrays | stored


def _difference(
    found: Any, wanted: Any, arrays: Mapping[str, Any], prefix: str, path: Path, name: str
) -> dict[str, Any]:
    packed = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    wanted = np.asarray(wanted)
    figures = statistics(np.asarray(found), wanted.shape, str(wanted.dtype), packed)
    what = judge(figures, Limits(rms_rel=MOST_NOISE))
    if what:
        raise SurgeonError(f"{path}: output {name!r} does not come out the same ({what[0]}); no golden can hold it")
    return figures


def _output(name: str, array: Any, key: str, runs: Mapping[str, Mapping[str, Any]]) -> Tensor:
    largest = 0.0
    if array.dtype.kind == "f" and array.size:
        largest = float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
    rms = max((float(run.get("rms", 1.0)) for run in runs.values()), default=1.0)
    tolerance = derive(runs, str(array.dtype), largest / rms)
    rounded = {k: _round(v) if not isinstance(v, str) else v for k, v in tolerance.items()}
    return Tensor(name, str(array.dtype), tuple(array.shape), key, tolerance=rounded)


def _round(value: Any) -> Any:
    return {k: _round(v) for k, v in value.items()} if isinstance(value, dict) else float(f"{value:.3g}")


def _inputs(plan: Plan, given: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], list[Tensor]]:
    stored, tensors = {}, []
    for index, (name, array) in enumerate(given.items()):
        tensor = Tensor(name, str(array.dtype), tuple(array.shape), drawn=plan.drawn.get(name))
        if tensor.drawn is None:
            tensor = replace(tensor, key=f"{prefix}i{index}")
            stored[tensor.key] = store(array)
        tensors.append(tensor)
    return stored, tensors


def _runs(path: Path, given: Mapping[str, Any], progress: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """The model's outputs again and again, each time with one thing changed that should change nothing."""
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        ("1 thread", {}),
        ("2 threads", {"threads": 2}),
        ("optimisations on", {"optimize": True}),
        ("optimisations and 2 threads", {"optimize": True, "threads": 2}),
    )
    for label, options in ways:
        session = open_session(path, **options)
        repeats = [(f"{label}, plain", given)] if options else [
            (f"{label}, plain", given), ("a second run", given), ("inputs off by one rounding step", nudge(given))
        ]  # fmt: skip
        for words, inputs in repeats:
            progress(words)
            run = session.run(inputs)
            if run.error:
                raise SurgeonError(f"{path}: cannot be run to record a golden: {run.error}")
            yield words.removesuffix(", plain"), run.outputs


def nudge(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with every fraction moved to a neighbouring number of its type; whole numbers, which may be labels, stay.

    Shows how far roundings elsewhere (another processor, another order of sums) can carry.
    """
    moved = {}
    for name, array in inputs.items():
        if array.dtype.kind == "f" and array.size:
            ends = np.asarray([-np.inf, np.inf], array.dtype)
            up = draw("integers", array.shape, "int64", f"nudge/{name}", low=0, high=1)
            array = np.where(array == np.round(array), array, np.nextafter(array, ends[up])).astype(array.dtype)
        moved[name] = array
    return moved


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
