"""Everything there is to check about one model: its form, its interface, its numbers, and what TensorRT says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import MissingBackend
from verify.report import Check, Report

if TYPE_CHECKING:
    import onnx

    from verify.interface.spec import Spec

# Given a path, its metadata and its spec, a check against something that verify knows nothing of (stock torch).
Outside = Callable[[Path, Mapping[str, str], "Spec | None"], Check]


@dataclass(frozen=True)
class Options:
    """What to check.

    spec      name or path of a spec file, or None for no interface check
    goldens   folders to look for goldens in; empty for the usual ones (`verify.goldens.index.folders`)
    tensorrt  True: must be installed; False: leave out; None: where installed
    strict    nothing asked for may be skipped because it is not installed or was never recorded
    scale     tolerances of goldens are multiplied by it
    profiles  {input: (min, opt, max)} for TensorRT, instead of the spec's
    """

    spec: str | None = "sam2"
    goldens: tuple[Path, ...] = ()
    tensorrt: bool | None = None
    strict: bool = False
    scale: float = 1.0
    profiles: Mapping[str, Any] = field(default_factory=dict)


def verify(path: Path, options: Options, outside: Outside | None = None) -> Report:
    """Judge the model at `path`.

    Raises:
        SurgeonError: it cannot be read, or a golden cannot.
        MissingBackend: TensorRT was asked for and is not installed.
    """
    from verify.interface.recognise import read_metadata, recognise
    from verify.model.read import read_model

    model = read_model(path)
    metadata = read_metadata(model)
    spec = recognise(model, path, options.spec) if options.spec else None
    report = Report(str(path), [_well_formed(path)])
    if spec is not None:
        checks = list(_interface(model, spec, options.spec or ""))
        report.checks += checks
        if any(check.name == "module" for check in checks):
            return report
    report.checks += _golden(path, model, metadata, options)
    report.checks += _tensorrt(path, spec, options)
    if outside is not None:
        report.checks.append(outside(path, metadata, spec))
    return report


def _well_formed(path: Path) -> Check:
    import onnx

    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        first = " ".join(str(error).split("\n")[0].split())
        unknown = "No Op registered" in str(error)
        return Check("onnx", "skip" if unknown else "fail", first[:300])
    except Exception as error:  # the checker hands through whatever its readers raise
        return Check("onnx", "fail", " ".join(f"{type(error).__name__}: {error}".split())[:300])
    return Check("onnx", "pass", "well-formed")


def _interface(model: onnx.ModelProto, spec: Spec, name_or_path: str) -> Iterator[Check]:
    """One check when all is as documented, else one for each thing that is not."""
    from verify.interface.check import check_shapes

    other = _other_module(model, spec, name_or_path)
    if other:
        yield Check("module", "fail", other)
        return
    checks = check_shapes(model, spec)
    bad = [check for check in checks if check.status == "fail"]
    yield from bad
    if not bad:
        count = len(spec.ports)
        yield Check("interface", "pass", f"{spec.title}: {count} inputs and outputs as documented")


def _other_module(model: onnx.ModelProto, spec: Spec, name_or_path: str) -> str:
    """What is wrong when the model is not the module that its metadata or file name say; else empty."""
    from verify.interface.spec import load_spec

    stored = {tensor.name for tensor in model.graph.initializer}
    names = {value.name for value in model.graph.output} | {value.name for value in model.graph.input} - stored

    def share(one: Spec) -> float:
        return len(names & {port.name for port in one.ports}) / len(one.ports)

    if share(spec) > 0.5:
        return ""
    best = max(load_spec(name_or_path).modules.values(), key=share)
    if best.module != spec.module and share(best) > 0.5:
        return f"says it is the {spec.module}, but its inputs and outputs are those of the {best.module}"
    return f"says it is the {spec.module}, but has {share(spec):.0%} of its inputs and outputs"


def _golden(path: Path, model: onnx.ModelProto, metadata: Mapping[str, str], options: Options) -> list[Check]:
    from verify.goldens import index
    from verify.goldens.check import check_golden

    where = index.folders(options.goldens)
    found = index.find(path, metadata, where)
    if found is not None:
        return check_golden(path, model, found, options.scale)
    message = f"none recorded for {_described(metadata) or 'this model'}; see surgeon golden record --help"
    return [Check("golden", "fail" if options.strict and options.goldens else "skip", message)]


def _described(metadata: Mapping[str, str]) -> str:
    keys = ("model_version", "model_type", "module", "semantics", "image_size", "precision", "checkpoint")
    return " ".join(metadata[key][:20] for key in keys if key in metadata)


def _tensorrt(path: Path, spec: Spec | None, options: Options) -> list[Check]:
    from verify.tensorrt import engine as tensorrt

    if options.tensorrt is False:
        return []
    try:
        version = tensorrt.version()
    except MissingBackend as error:
        if options.tensorrt:
            raise
        return [Check("tensorrt", "skip", str(error), {"missing": True})]
    profiles = dict(options.profiles) or _profiles(spec)
    built = tensorrt.build(path, profiles)
    figures = {"version": version, "seconds": round(built.seconds, 2), "engine_bytes": built.engine_bytes}
    if built.refusals:
        first = built.refusals[0]
        where = " ".join(part for part in (first.op, first.node_name or first.tensor) if part)
        more = f" (and {len(built.refusals) - 1} more)" if len(built.refusals) > 1 else ""
        message = f"{where}: {_line(first.message)}{more}; surgeon diagnose explains"
        return [Check("tensorrt parser", "fail", message.removeprefix(": "), figures)]
    parser = Check("tensorrt parser", "pass", f"accepted by {version}", figures)
    if built.ok:
        size = f"engine of {built.engine_bytes / 1e6:.1f} MB in {built.seconds:.1f} s"
        return [parser, Check("tensorrt builder", "pass", size + _sizes(built), figures)]
    reason = _line(built.messages[0]) if built.messages else "no engine, and no reason given"
    return [parser, Check("tensorrt builder", "fail", f"{reason}{_sizes(built)}; surgeon diagnose explains", figures)]


def _profiles(spec: Spec | None) -> dict[str, Any] | None:
    """The spec's profile of each input; inputs whose dims are fixed in the file are left alone further down."""
    return None if spec is None else {name: (p.min, p.opt, p.max) for name, p in spec.profiles().items()}


def _sizes(built: Any) -> str:
    """Which sizes were built, when surgeon had to guess them."""
    if not built.derived or not built.profiles:
        return ""
    shapes = ", ".join(f"{name} {'x'.join(map(str, opt))}" for name, (_, opt, _) in built.profiles.items())
    return f" (sizes guessed: {shapes}; give --input-shape)"


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
