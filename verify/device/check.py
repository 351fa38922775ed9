"""Check a run that came back from the GPU machine: its file and inputs, its build, and its outputs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.cache import file_hash
from verify.device.age import age
from verify.device.manifest import BUILD_LOG, RESULT, RUN_LOG, CaseFiles, Manifest, ModelFiles, read_manifest
from verify.device.results.log import Log, judge_name, read_log
from verify.device.results.outputs import ROUNDING, Dumped, read_outputs
from verify.device.trtexec import BINDINGS, array_type, trtexec_of
from verify.errors import SurgeonError
from verify.goldens.compare import Comparison, compare_outputs
from verify.goldens.find import content_hash, find_golden, folders
from verify.goldens.index import Case, Golden, read_data
from verify.report import Check, State, Verdict, counted

if TYPE_CHECKING:
    import onnx

FILE, BUILD, OUTPUTS = "device file", "device build", "device outputs"


@dataclass(frozen=True)
class DeviceRun:
    """The verdict on a run on another machine.

    message with `{when}` as a placeholder for the age of the run
    sha256   content of the model that ran (`verify.goldens.find.content_hash`)
    date     UTC, e.g. "2026-11-27T10:00:00Z"; empty where run.sh could not tell
    """

    checks: list[Check]
    state: State
    message: str
    sha256: str = ""
    golden: Golden | None = field(default=None, repr=False)
    tensorrt: str = ""
    gpu: str = ""
    capability: str = ""
    precision: str = ""
    date: str = ""

    @property
    def verdict(self) -> Verdict:
        """The run as the verdict of that machine."""
        message = self.message.replace("{when}", age(self.date))
        return Verdict(judge_name(self.tensorrt, self.gpu), self.state, message)


def check_device_run(
    path: Path, model: onnx.ModelProto, folder: Path, goldens: Sequence[Path] = (), scale: float = 1.0
) -> DeviceRun:
    """Check the run of `model` in a folder that `surgeon golden trtexec` made and run.sh filled.

    Raises:
        SurgeonError: the folder has no manifest or a damaged one, or a golden cannot be read.
    """
    manifest = read_manifest(folder)
    sha256 = content_hash(path, model)
    entry = next((one for one in manifest.models if one.sha256 == sha256), None)
    if entry is None:
        return _stopped(FILE, _not_this_file(path, manifest))
    found = find_golden(path, model, folders(goldens))
    if found is None or found.golden.id != entry.golden:
        return _stopped(FILE, f"its golden {entry.golden} is not here; name its folder with --golden")
    log = read_log(folder / entry.folder / BUILD_LOG)
    try:
        dates = _require_same_files(folder, manifest, entry)
        if log is None:
            raise SurgeonError(f"it was not run: there is no {entry.folder}/{BUILD_LOG}; run run.sh on the GPU machine")
        _require_version(log, manifest)
    except SurgeonError as problem:
        return _stopped(FILE, str(problem))
    run = DeviceRun(
        [Check(FILE, "pass", "this very file and the inputs of its golden", {"sha256": sha256})],
        "unknown",
        "",
        sha256,
        found.golden,
        log.version,
        log.gpu,
        log.capability,
        entry.precision,
        dates.get(f"{entry.folder} {BUILD_LOG}", ""),
    )
    if not log.passed:
        return _not_built(run, log, f"{folder / entry.folder / BUILD_LOG}")
    seconds = "" if log.build_seconds is None else f" in {log.build_seconds:.1f} s"
    figures = {"version": log.version, "gpu": log.gpu, "seconds": log.build_seconds, "precision": entry.precision}
    run.checks.append(Check(BUILD, "pass", f"{judge_name(log.version, log.gpu)} built it{seconds}", figures))
    return _compared(replace(run, tensorrt=log.version or manifest.tensorrt), folder / entry.folder, entry, scale)


def _stopped(name: str, message: str) -> DeviceRun:
    """A run without a verdict."""
    return DeviceRun([Check(name, "fail", message)], "unknown", message)


def _not_this_file(path: Path, manifest: Manifest) -> str:
    same = [one for one in manifest.models if one.file == path.name]
    if same:
        return f"{path.name} has changed since the folder was made; make it and run it again"
    return f"another model: the folder has {', '.join(one.file for one in manifest.models)}"


def _require_same_files(folder: Path, manifest: Manifest, entry: ModelFiles) -> dict[str, str]:
    """The date of each step by model and log, once all files are known to be those that the folder was made with.

    Raises:
        SurgeonError: run.sh was of another folder, or a model or an input has changed. A model that was not copied back
            was compared by run.sh.
    """
    lines = _result(folder)
    if lines and lines[0] != f"folder {manifest.id}":
        raise SurgeonError("its results are of an older folder; empty the folder, make it and run it again")
    changed = [line.removeprefix("changed ") for line in lines if line.startswith("changed ")]
    if any(f"/{entry.folder}/" in line for line in changed):
        raise SurgeonError(f"the GPU machine had another file: {changed[0]}")
    wanted = {Path(entry.folder) / name: sha for name, sha in entry.files.items()}
    for case in entry.cases:
        wanted |= {Path(entry.folder) / case.folder / one.file: one.sha256 for one in case.inputs if one.file}
    for place, sha in wanted.items():
        if (folder / place).is_file() and file_hash(folder / place) != sha:
            raise SurgeonError(f"{place} in the folder is not what was written there; make the folder again")
    rows = [line.rsplit(" ", 2) for line in lines[1:] if line.count(" ") >= 3]
    return {row[0]: row[2] for row in rows}


def _result(folder: Path) -> list[str]:
    try:
        return (folder / RESULT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _require_version(log: Log, manifest: Manifest) -> None:
    made, ran = manifest.tensorrt, log.version
    if ran and ran.partition(".")[0] != made.partition(".")[0]:
        raise SurgeonError(
            f"TensorRT {ran} ran a folder made for {made}, whose flags and inputs differ; make it with --target"
        )


def _not_built(run: DeviceRun, log: Log, place: str) -> DeviceRun:
    if log.passed is None:
        message = f"trtexec ended in the middle: its log has no last line ({place})"
        run.checks.append(Check(BUILD, "fail", message))
        return replace(run, message="trtexec ended in the middle of the build {when}")
    reason = log.errors[0] if log.errors else "no reason given"
    message = f"not built: {reason}; surgeon diagnose MODEL --log {place}"
    figures = {"version": log.version, "gpu": log.gpu, "errors": list(log.errors)}
    run.checks.append(Check(BUILD, "fail", message, figures))
    return replace(run, state="refused", message=f"refused it {{when}}: {reason}")


def _compared(run: DeviceRun, folder: Path, entry: ModelFiles, scale: float) -> DeviceRun:
    """The run with the check of its outputs."""
    assert run.golden is not None
    data = read_data(run.golden)
    cases = {case.inputs_sha256: case for case in run.golden.cases}
    total, times, problems, rounded = Comparison(), [], [], 0
    for files in entry.cases:
        case = cases.get(files.inputs_sha256)
        where = f" ({files.name})" if files.name else ""
        if case is None:
            problems.append(f"its inputs are not those of the golden any more{where}; make the folder again")
            continue
        try:
            compared, few = _compare_case(folder / files.folder, files, case, run, data, scale)
        except SurgeonError as problem:
            problems.append(f"{problem}{where}")
            continue
        rounded += few
        total.tensors |= compared.tensors
        total.wrong += compared.wrong
        times += _times(folder / files.folder)
    return _judged(run, total, problems, times, rounded, len(entry.cases))


def _compare_case(
    folder: Path, files: CaseFiles, case: Case, run: DeviceRun, data: Mapping[str, Any], scale: float
) -> tuple[Comparison, int]:
    """The comparison of one case, and how many outputs had to be read from output.json.

    Raises:
        SurgeonError: it did not run to its end, or not on these inputs, or an output is missing or damaged.
    """
    log = read_log(folder / RUN_LOG)
    if log is None:
        raise SurgeonError(f"it was not run: there is no {RUN_LOG}")
    if not log.passed:
        reason = (
            log.errors[0] if log.errors else "its log has no last line" if log.passed is None else "no reason given"
        )
        raise SurgeonError(f"the engine was built but did not run: {reason}")
    _require_inputs(folder, files, log)
    release = trtexec_of(".".join(run.tensorrt.split(".")[:2]))
    expected = {one.name: release.binding(one.dtype, one.name) for one in case.outputs if one.dtype in BINDINGS}
    dumped = read_outputs(folder, log, expected)
    types = {one.name: one.dtype for one in case.outputs}
    values = {name: _as_recorded(one, types[name]) for name, one in dumped.items()}
    tolerances = {
        one.name: _loosened(files.tolerances.get(one.name) or one.tolerance, dumped[one.name])
        for one in case.outputs
        if one.name in dumped and (files.tolerances.get(one.name) or one.tolerance)
    }
    return compare_outputs(values, case, data, scale, tolerances), sum(one.rounded for one in dumped.values())


def _as_recorded(dumped: Dumped, dtype: str) -> Any:
    """The values in the type of the ONNX output: TensorRT gives float32 for double, and int32 for int64 before 10.0."""
    return dumped.values.astype(array_type(dtype))


def _loosened(tolerance: Any, dumped: Dumped) -> dict[str, Any]:
    """The tolerance; for numbers of six digits it includes their rounding error."""
    import numpy as np

    found = {key: value for key, value in dict(tolerance).items() if key != "noise"}
    values = dumped.values.astype(np.float64)
    finite = np.abs(values[np.isfinite(values)])
    if not dumped.rounded or not finite.size:
        return found
    rms = float(np.sqrt(np.mean(np.square(finite)))) or 1.0
    peak = float(finite.max()) / rms
    more = {"rms_rel": ROUNDING, "max_rel": ROUNDING * peak, "block": ROUNDING * max(peak, 128.0)}
    return {**found, **{key: found[key] + value for key, value in more.items()}}


def _require_inputs(folder: Path, files: CaseFiles, log: Log) -> None:
    """Raise SurgeonError if the log or the dump of an input shows that trtexec read other values."""
    for one in files.inputs:
        if not one.file:
            continue
        if one.name in log.random or one.name in log.assumed or one.name not in log.loaded:
            how = "random values" if one.name in log.random else "other values than those of the golden"
            raise SurgeonError(f"input {one.name} had {how}, so the outputs cannot be compared")
        if Path(log.loaded[one.name]).name != one.file:
            raise SurgeonError(f"input {one.name} was read from {log.loaded[one.name]}, not from {one.file}")
        dump = log.raw.get(("input", one.name))
        place = folder / Path(dump[2]).name if dump else None
        if place is not None and place.is_file() and place.stat().st_size and file_hash(place) != one.sha256:
            raise SurgeonError(f"the dump of input {one.name} has other values; is it an older file?")


def _times(folder: Path) -> list[float]:
    """Milliseconds of GPU compute of each timed query; empty where there is no readable times.json."""
    try:
        return [float(row["computeMs"]) for row in json.loads((folder / "times.json").read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _judged(
    run: DeviceRun, total: Comparison, problems: list[str], times: list[float], rounded: int, cases: int
) -> DeviceRun:
    from verify.goldens.check import summary

    figures: dict[str, Any] = {"tensors": total.tensors, "cases": cases, "precision": run.precision}
    if times:
        figures["milliseconds"] = statistics.median(times)
    took = f"; {statistics.median(times):.3g} ms on the GPU (median of {len(times)})" if times else ""
    digits = f"; {counted(rounded, 'output')} of six digits only, without raw dump" if rounded else ""
    if problems:
        more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
        run.checks.append(Check(OUTPUTS, "fail", problems[0] + more, figures))
        return replace(run, message=f"built it {{when}}, but the outputs cannot be compared: {problems[0]}")
    if not total.tensors:
        message = "no output of the golden has a tolerance for another machine"
        run.checks.append(Check(OUTPUTS, "skip", message, figures))
        return replace(run, message="built it {when}, but no output is compared")
    said = summary(total.tensors, total.wrong, cases)
    run.checks.append(Check(OUTPUTS, "fail" if total.wrong else "pass", said + took + digits, figures))
    outputs = "computes something else" if total.wrong else "outputs as recorded"
    state: State = "refused" if total.wrong else "accepted"
    said = f"built it {{when}} from this very file in {run.precision}; {outputs}{took}"
    return replace(run, state=state, message=said)
