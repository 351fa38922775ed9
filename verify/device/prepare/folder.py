"""Write the folder that goes to the GPU machine: models, inputs of their goldens, run.sh and the manifest."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.cache import file_hash
from verify.device.manifest import ENGINE, CaseFiles, Input, Manifest, ModelFiles, write_manifest
from verify.device.prepare.script import quoted, script
from verify.device.prepare.shape_inputs import shape_inputs
from verify.device.trtexec import Shape, Trtexec, array_type, require_sayable, trtexec_of
from verify.errors import SurgeonError
from verify.goldens.check import fitting_cases
from verify.goldens.find import content_hash, find_golden, folders
from verify.goldens.index import Case, read_data
from verify.goldens.inputs import make_inputs
from verify.model.external import check_external, external_files
from verify.model.read import read_model
from verify.tensorrt.profiles import dynamic_inputs, typed

if TYPE_CHECKING:
    import onnx

INT32 = (-(2**31), 2**31 - 1)


def write_folder(
    models: Sequence[Path],
    folder: Path,
    *,
    tensorrt: str,
    precision: str = "fp32",
    goldens: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Write a folder with everything that a machine with trtexec needs to run the goldens of `models`.

    Args:
        folder: must not exist, or be empty.
        tensorrt: version of the machine, "8.6" to "11.1".
        precision: of `verify.device.trtexec.PRECISIONS`; for fp16 the models are run here to measure the
            tolerance.
        goldens: folders to look in; empty for the usual ones.

    Raises:
        SurgeonError: a model has no golden or cannot be given to trtexec, or the folder cannot be written.
    """
    release = trtexec_of(tensorrt)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SurgeonError(f"{folder}: exists and is not empty; choose another folder with -o")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
        temporary.chmod(0o755)
    except OSError as error:
        raise SurgeonError(f"{folder}: cannot be made ({error.strerror or error}); choose another with -o") from None
    try:
        found: list[ModelFiles] = []
        for path in models:
            progress(str(path))
            taken = {entry.folder for entry in found}
            found.append(_write_model(path, temporary, taken, release, precision, goldens))
        manifest = write_manifest(temporary, Manifest(tensorrt, tuple(found)))
        run = temporary / "run.sh"
        run.write_text(script(manifest), encoding="utf-8", newline="\n")
        run.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    except OSError as error:
        raise SurgeonError(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _write_model(
    path: Path, top: Path, taken: set[str], release: Trtexec, precision: str, goldens: Sequence[Path]
) -> ModelFiles:
    model = read_model(path)
    found = find_golden(path, model, folders(goldens))
    if found is None:
        raise SurgeonError(f"{path}: no golden; record one with: surgeon golden record {path}")
    golden, cases = found.golden, fitting_cases(model, found.golden)
    check_external(model, path.parent)
    data = read_data(golden)
    inputs = [make_inputs(case, data) for case in cases]
    shapes = shape_inputs(model)
    for name in inputs[0]:
        require_sayable(name)
    name = _free(path.stem, taken)
    (top / name).mkdir()
    file = _plain(path.name)
    files = _copy(path, model, top / name, file)
    points = _points(model, inputs, shapes)
    lowered = typed(path)
    build = release.build(file, ENGINE, points, precision, lowered)
    tolerances: Sequence[Mapping[str, Any]] = [{}] * len(cases)
    if precision == "fp16":
        from verify.device.prepare.half import half_tolerances

        tolerances = half_tolerances(path, cases, data)
    written = [
        _write_case(top / name, f"case{number}", case, arrays, release, shapes, dynamic_inputs(model), tolerance)
        for number, (case, arrays, tolerance) in enumerate(zip(cases, inputs, tolerances, strict=True), 1)
    ]
    word = "half precision as in the file" if lowered else precision
    sha256 = content_hash(path, model)
    return ModelFiles(name, file, files, sha256, golden.id, word, quoted(build), tuple(written))


def _copy(path: Path, model: onnx.ModelProto, folder: Path, file: str) -> dict[str, str]:
    """Copy the model and the files with its weights; SHA-256 of each by its path in the folder."""
    copies = {file: path} | {os.path.relpath(data, path.parent): data for data in external_files(path, model)}
    for name, source in copies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return {name: file_hash(source) for name, source in copies.items()}


def _points(
    model: onnx.ModelProto, inputs: Sequence[Mapping[str, Any]], shapes: set[str]
) -> tuple[list[Shape], list[Shape], list[Shape]]:
    """The smallest, usual and largest point of each dynamic input: the range of the cases, and the largest of them.

    The profile of a spec can be far larger than any case, and an engine for that profile may not fit on the GPU.
    """
    usual = max(inputs, key=lambda arrays: sum(array.size for array in arrays.values()))
    points: tuple[list[Shape], list[Shape], list[Shape]] = ([], [], [])
    for name in dict.fromkeys([*dynamic_inputs(model), *sorted(shapes)]):
        given = [_values(arrays[name], name in shapes) for arrays in inputs]
        low, high = (tuple(end(values) for values in zip(*given, strict=True)) for end in (min, max))
        for point, values in zip(points, (low, _values(usual[name], name in shapes), high), strict=True):
            point.append(Shape(name, values))
    return points


def _values(array: Any, is_shape: bool) -> tuple[int, ...]:
    return tuple(int(value) for value in array.reshape(-1)) if is_shape else tuple(array.shape)


def _write_case(
    model_folder: Path,
    folder: str,
    case: Case,
    arrays: Mapping[str, Any],
    release: Trtexec,
    shapes: set[str],
    dynamic: Sequence[str],
    tolerances: Mapping[str, Any],
) -> CaseFiles:
    (model_folder / folder).mkdir()
    inputs, said = [], []
    for number, (name, array) in enumerate(arrays.items()):
        if name in dynamic or name in shapes:
            said.append(Shape(name, _values(array, name in shapes)))
        if name in shapes:
            inputs.append(Input(name, str(array.dtype), tuple(array.shape)))
            continue
        dtype = release.binding(str(array.dtype), name)
        file = f"input{number}.bin"
        target = model_folder / folder / file
        target.write_bytes(as_binding(array, dtype, name).tobytes() or b"\0")  # trtexec refuses empty files
        inputs.append(Input(name, dtype, tuple(array.shape), file, file_hash(target)))
    files = {one.name: one.file for one in inputs if one.file}
    command = quoted(release.run(f"../{ENGINE}", said, files))
    return CaseFiles(folder, case.name, case.inputs_sha256, tuple(inputs), command, tolerances)


def as_binding(array: Any, dtype: str, name: str) -> Any:
    """An input in the type of its binding, C order, little-endian.

    Raises:
        SurgeonError: a whole number does not fit 32 bits.
    """
    import numpy as np

    wide = array.dtype.kind == "i" and dtype == "int32" and array.dtype.itemsize > 4
    if wide and array.size and not (INT32[0] <= int(array.min()) and int(array.max()) <= INT32[1]):
        raise SurgeonError(f"input '{name}' has values beyond 32 bits, which this TensorRT cannot take")
    return np.ascontiguousarray(array).astype(array_type(dtype))


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("-.") or "model.onnx"


def _free(stem: str, taken: set[str]) -> str:
    name = _plain(stem)
    number = 1
    while name in taken or name in ("manifest.json", "run.sh", "result.txt"):
        number += 1
        name = f"{_plain(stem)}-{number}"
    return name
