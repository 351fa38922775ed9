"""The public functions: check one model, and record what it computes while it is correct."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.report import Check, Report, counted

if TYPE_CHECKING:
    import onnx

    from verify.goldens.record import Recording
    from verify.interface.spec import Spec

    # Given a path, its metadata and its spec: a check against something that verify knows nothing of, such as torch.
    ExtraCheck = Callable[[Path, Mapping[str, str], Spec | None], Check]
    ReferenceOutputs = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def verify_model(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    spec: str | Path | Spec | None = "sam2",
    goldens: Sequence[str | os.PathLike[str]] | None = (),
    tensorrt: bool | None = None,
    strict: bool = False,
    scale: float = 1.0,
    min_sensitivity: float | None = None,
    profiles: Mapping[str, Any] | None = None,
    extra_check: ExtraCheck | None = None,
    device_run: str | os.PathLike[str] | None = None,
    keep_device_run: bool = False,
) -> Report:
    """Check a model: its form, its interface, its numbers, and whether TensorRT builds it.

    Args:
        model: path of an ONNX file, or an `onnx.ModelProto`, for which goldens are found by its metadata only.
        spec: documented interface: a name ("sam2"), a TOML file, one module's `Spec`, or None for no interface check.
        goldens: folders to look for goldens in; () for `./golden` and those that come with surgeon, None for no
            golden check.
        tensorrt: True: must be installed; False: left out; None: asked where it is installed.
        strict: a golden that is missing in the folders given is a failure, and so is one that catches too few faults
            and a model that TensorRT does not build at guessed sizes.
        scale: tolerances of goldens are multiplied by it.
        min_sensitivity: share of planted faults that the golden must catch; None for 0.8 if `strict`, else for any.
        profiles: {input: (min, opt, max)} shapes for TensorRT, instead of the spec's.
        extra_check: one more check, put last in the report.
        device_run: a folder of `verify.device.prepare.folder.write_folder` that came back from the GPU machine. Its
            TensorRT gives the verdict then, and TensorRT here is left out unless `tensorrt` is True.
        keep_device_run: keep the verdict of that machine, or without `device_run` of full TensorRT here, beside the
            golden for later calls.

    Returns:
        A report with one or more checks for each of these; `report.exit_code` is 0 where none failed, else 1.

    Raises:
        SurgeonError: the model, the spec or a golden cannot be read, or `profiles` names no input.
        MissingBackend: `tensorrt` is True and TensorRT is not installed or cannot run here.

    Example:
        >>> import onnx, verify
        >>> model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
        ... tiny (float[2] x) => (float[2] y) { y = Relu(x) }''')
        >>> report = verify.verify_model(model, goldens=None, tensorrt=False)
        >>> report.ok
        True
        >>> report.checks[0].name, report.checks[0].message
        ('onnx', 'well-formed')
    """
    from verify.model.on_disk import on_disk
    from verify.model.read import read_model
    from verify.render.notebook import running

    with on_disk(model) as (path, name), running(f"verifying {name}"):
        report = verify_read_model(
            path,
            read_model(path),
            spec=spec,
            goldens=goldens,
            tensorrt=tensorrt,
            strict=strict,
            scale=scale,
            min_sensitivity=min_sensitivity,
            profiles=profiles,
            extra_check=extra_check,
            device_run=device_run,
            keep_device_run=keep_device_run,
        )
    report.model = name
    return report


def verify_read_model(
    path: Path,
    model: onnx.ModelProto,
    *,
    spec: str | Path | Spec | None = "sam2",
    goldens: Sequence[str | os.PathLike[str]] | None = (),
    tensorrt: bool | None = None,
    strict: bool = False,
    scale: float = 1.0,
    min_sensitivity: float | None = None,
    profiles: Mapping[str, Any] | None = None,
    extra_check: ExtraCheck | None = None,
    device_run: str | os.PathLike[str] | None = None,
    keep_device_run: bool = False,
) -> Report:
    """`verify_model` of a file that `verify.model.read.read_model` has read, so that a large one is read once."""
    wanted = False if device_run is not None and tensorrt is None else tensorrt
    report = _checked(path, model, spec, goldens, wanted, strict, scale, min_sensitivity, profiles, extra_check)
    if device_run is not None or goldens is not None:
        folders = [Path(folder) for folder in goldens or ()]
        _add_devices(report, path, model, folders, scale, device_run, keep_device_run)
    return report


def _checked(
    path: Path,
    model: onnx.ModelProto,
    spec: str | Path | Spec | None,
    goldens: Sequence[str | os.PathLike[str]] | None,
    tensorrt: bool | None,
    strict: bool,
    scale: float,
    min_sensitivity: float | None,
    profiles: Mapping[str, Any] | None,
    extra_check: ExtraCheck | None,
) -> Report:
    """The checks of `verify_model`, on a file."""
    from verify.goldens.check import check_goldens
    from verify.goldens.quality.sensitivity import LEAST_SHARE
    from verify.interface.check import check_form, check_interface
    from verify.interface.recognise import read_metadata, recognise
    from verify.interface.run import check_run
    from verify.interface.spec import load_spec
    from verify.lint import lint
    from verify.run.known_faults import ends_process
    from verify.tensorrt.check import check_tensorrt, spec_profiles, verdicts_of
    from verify.tensorrt.profiles import check_given

    check_given(model, path, profiles or {})
    metadata = read_metadata(model)
    module = recognise(model, path, spec) if isinstance(spec, (str, Path)) else spec
    report = Report(str(path), [check_form(path, model)], lint(model))
    breaches = sum(finding.severity == "error" for finding in report.findings)
    if breaches and report.checks[0].status == "pass":
        said = f"{counted(breaches, 'breach', 'breaches')} of the ONNX specification, which onnx.checker does not see"
        report.checks = [Check("onnx", "fail", said)]
    if ends_process(model):
        return report
    if module is not None:
        report.checks += check_interface(model, module, spec)
        if report.checks[-1].name == "module":
            return report
        if report.checks[-1].status == "pass":
            report.checks.append(check_run(path, module))
    elif isinstance(spec, (str, Path)) and Path(spec).suffix == ".toml":
        modules = ", ".join(load_spec(spec).modules)
        report.checks.append(Check("interface", "skip", f"the model is no module of {spec}, which has {modules}"))
    if goldens is not None:
        least = LEAST_SHARE if strict and min_sensitivity is None else min_sensitivity
        places = [Path(folder) for folder in goldens]
        report.checks += check_goldens(path, model, metadata, places, strict, scale, least)
    report.checks += check_tensorrt(
        path, profiles or spec_profiles(module), wanted=tensorrt, strict=strict, spec=module
    )
    report.verdicts = verdicts_of(report.checks)
    if extra_check is not None:
        report.checks.append(extra_check(path, metadata, module))
    return report


def _add_devices(
    report: Report,
    path: Path,
    model: onnx.ModelProto,
    goldens: Sequence[Path],
    scale: float,
    device_run: str | os.PathLike[str] | None,
    keep_device_run: bool,
) -> None:
    """Add what another machine said: in a folder that came back from it, or earlier, kept beside the golden."""
    from verify.device.built_here import built_here
    from verify.device.check import check_device_run
    from verify.device.kept import keep, kept_verdicts

    if device_run is None and keep_device_run:
        keep(built_here(path, model, report.checks, goldens), goldens)
    if device_run is None:
        own = {one.judge.partition(" (")[0] for one in report.verdicts} if keep_device_run else set()
        kept = kept_verdicts(path, model, goldens)
        report.verdicts += [one for one in kept if one.judge.partition(" on ")[0] not in own]
        return
    run = check_device_run(path, model, Path(device_run), goldens, scale)
    report.checks += run.checks
    report.verdicts.append(run.verdict)
    if keep_device_run and run.state != "unknown":  # the failed check says why nothing is known
        keep(run, goldens)


def record_golden(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "golden",
    *,
    seed: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Sequence[int]] | None = None,
    reference: ReferenceOutputs | None = None,
    made_by: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Record what the model at `path` gives into `folder`, in the place of an earlier golden of the same model.

    Seed, sizes and inputs that are not given are those of the earlier golden.

    Args:
        seed: of the inputs, which are drawn as the spec or the model's input types say (1); ignored with `inputs`.
        inputs: NumPy arrays by input name; they are stored whole.
        sizes: shape of an input by name, where dims are free.
        reference: gives the outputs to record for given inputs, e.g. stock torch; else the model's own are recorded.
        made_by: further entries of the index, e.g. what `reference` is.
        progress: called with what is being run.

    Returns:
        The golden and, where it replaces another, what changed.

    Raises:
        SurgeonError: the model cannot be read or run on the inputs, it gives something else each time, or the folder
            cannot be written.

    Example:
        >>> import onnx, verify
        >>> onnx.save(onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
        ... tiny (float[2] x) => (float[2] y) { y = Relu(x) }'''), "tiny.onnx")
        >>> recording = verify.record_golden("tiny.onnx", "golden")
        >>> report = verify.verify_model("tiny.onnx", goldens=["golden"], tensorrt=False)
        >>> [check.status for check in report.checks]
        ['pass', 'pass']
    """
    from verify.errors import SurgeonError
    from verify.goldens.record import record
    from verify.model.read import read_model
    from verify.render.notebook import running

    if not isinstance(path, (str, os.PathLike)):
        raise SurgeonError(f"path: give the path of a model, not {type(path).__name__}; save a model in memory first")
    path = Path(path)
    with running(f"recording {path}"):
        return record(
            path,
            read_model(path),
            Path(folder),
            seed=seed,
            inputs=inputs,
            sizes=sizes,
            reference=reference,
            made_by=made_by,
            progress=progress,
        )
