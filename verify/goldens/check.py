"""Find the golden of a model and check the model against it."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import SurgeonError
from verify.goldens.compare import Comparison, compare_runs
from verify.goldens.find import find_golden, folders
from verify.goldens.index import Case, Golden, Tensor, read_data
from verify.goldens.quality.sensitivity import describe, share, slipped
from verify.goldens.runs import fused_operators, machine, random_operator
from verify.interface.check import read_dims, show
from verify.model.walk import fed_inputs
from verify.report import Check, Status, counted

if TYPE_CHECKING:
    import onnx


def check_goldens(
    path: Path,
    model: onnx.ModelProto,
    metadata: Mapping[str, str],
    given: Sequence[Path] = (),
    required: bool = False,
    scale: float = 1.0,
    min_sensitivity: float | None = None,
) -> list[Check]:
    """Find the golden of a model and check the model against it; a skipped check where none was recorded.

    Args:
        given: folders to look in; empty for the usual ones (`verify.goldens.find.folders`).
        required: a golden that is missing in the folders given is a failure.
        scale: tolerances are multiplied by it.
        min_sensitivity: share of planted faults that the golden must catch; None for any.
    """
    found = find_golden(path, model, folders(given))
    if found is not None:
        how = f" ({found.how})" if found.how else ""
        used = {"golden": found.golden.id, "folder": str(found.golden.folder)}
        used |= _quality(found.golden)
        checks = check_golden(path, model, found.golden, scale)
        if min_sensitivity is not None:
            checks.append(check_sensitivity(found.golden, min_sensitivity))
        return [replace(c, message=c.message + how, figures={**c.figures, **used}) for c in checks]
    message = f"none recorded for {_described(metadata) or 'this model'}; see surgeon golden record --help"
    return [Check("golden", "fail" if required and given else "skip", message)]


def _quality(golden: Golden) -> dict[str, Any]:
    """What the report says of the golden itself; {} for one of an older format."""
    found: dict[str, Any] = {"sensitivity": describe(golden.sensitivity)} if golden.sensitivity else {}
    lists = {"not_caught": slipped(golden.sensitivity), "not_covered": golden.coverage, "notes": golden.notes}
    return found | {key: list(entries) for key, entries in lists.items() if entries}


def check_sensitivity(golden: Golden, least: float) -> Check:
    """Whether a golden catches a share of at least `least` of the faults that were planted when it was recorded."""
    caught = share(golden.sensitivity)
    message = f"the golden {describe(golden.sensitivity)}"
    if caught is None:
        return Check("golden sensitivity", "fail" if not golden.sensitivity else "skip", message)
    if caught >= least:
        return Check("golden sensitivity", "pass", f"{message}, at least {least:.0%} required")
    first = slipped(golden.sensitivity)[0]
    advice = "record it with inputs that show them: surgeon golden record --inputs"
    return Check("golden sensitivity", "fail", f"{message}, at least {least:.0%} required; first: {first}; {advice}")


def _described(metadata: Mapping[str, str]) -> str:
    keys = ("model_version", "model_type", "module", "semantics", "image_size", "precision", "checkpoint")
    return " ".join(metadata[key][:20] for key in keys if key in metadata)


def check_golden(path: Path, model: onnx.ModelProto, golden: Golden, scale: float = 1.0) -> list[Check]:
    """Run all recorded cases that fit the model's input shapes, in two ways, and compare every output.

    Without optimisations on one thread, as the golden was recorded, against a tight tolerance; and as onnxruntime runs
    a model by default, against a looser one. Both must hold. On another processor or with another onnxruntime than the
    golden was recorded with, the first is a check of its own that is skipped where it does not hold. So it is where
    eight-bit operators are fused that were not when the golden was recorded, because they round at other places; unless
    the model without its rounding gives what was recorded of that.

    Args:
        path: the model's file, which onnxruntime reads itself.
        model: the same model; only its interface is looked at.
        scale: tolerances are multiplied by it.

    Raises:
        SurgeonError: the golden's data cannot be read, or its inputs cannot be made again.
    """
    misnamed = _names(model, golden) or _random(model, golden)
    if misnamed:
        return [Check("golden", "fail", misnamed)]
    cases = [case for case in golden.cases if not _misfit(model, case.inputs)]
    misfits = [why for case in golden.cases if (why := _misfit(model, case.inputs))]
    if misfits and ("file" in golden.match or not cases):
        return [Check("golden", "fail" if "file" in golden.match else "skip", misfits[0])]
    if not cases:
        return [Check("golden", "fail", "no case recorded")]
    data = read_data(golden)
    started = time.perf_counter()
    default = compare_runs(path, cases, data, scale, "tolerance", optimize=True, threads=os.cpu_count() or 1)
    tight = compare_runs(path, cases, data, scale, "tight")
    unrounded, without = _without_rounding(path, model, golden, cases, data, scale)
    fused = _fused_since(model, golden) if tight.wrong and not default.wrong else ""
    if fused and unrounded.tensors:
        fused, tight = "", Comparison()  # rounding moved to other places; whether more changed shows without it
    other = fused or (_other_machine(golden) if tight.wrong + unrounded.wrong and not default.wrong else "")
    judged = [default] if other else [default, tight, unrounded]
    shown = default if other or default.wrong or not tight.tensors else tight
    wrong = list(dict.fromkeys(problem for run in judged for problem in run.wrong))
    left = len(golden.cases) - len(cases)
    figures = {
        "tensors": shown.tensors,
        "other_runs": [run.tensors for run in judged if run is not shown and run.tensors],
        "not_run": list(dict.fromkeys(problem for run in judged for problem in run.not_run)),
        "seconds": round(time.perf_counter() - started, 3),
        "backend": shown.backend,
        "cases": len(cases),
        "cases_of_other_shapes": left,
    }
    compared: Status = "pass" if any(run.tensors for run in judged) else "skip"
    checks = [Check("golden", "fail" if wrong else compared, summary(shown.tensors, wrong, len(cases), left), figures)]
    if other:
        checks.append(Check("golden, unoptimised", "skip", f"{(tight.wrong + unrounded.wrong)[0]}; but {other}"))
    if without:
        checks.append(Check("golden, unrounded", "skip", without))
    return checks


def _without_rounding(
    path: Path, model: onnx.ModelProto, golden: Golden, cases: Sequence[Case], data: Mapping[str, Any], scale: float
) -> tuple[Comparison, str]:
    """The comparison without the rounding of an eight-bit model, or why there is none though one was recorded."""
    import onnx

    from verify.run.unrounded import quantizers, without_rounding

    if not any(case.unrounded for case in cases):
        return Comparison(), ""
    changed = without_rounding(onnx.load(path))
    if changed is None:
        return Comparison(), "the rounding of this model cannot be left out"
    found = compare_runs(changed, cases, data, scale, "unrounded")
    recorded = int(golden.settings.get("quantizers", 0))
    if found.wrong and quantizers(model) != recorded:
        return Comparison(), f"the model quantises at {quantizers(model)} places, the recorded one at {recorded}"
    return found, ""


def _random(model: onnx.ModelProto, golden: Golden) -> str:
    """A random operator in a model whose golden was recorded without one, in words; else empty."""
    found = random_operator(model)
    known = golden.settings.get("random", "" if golden.settings else found)
    return f"{found} draws random numbers, which the recorded model did not" if found and not known else ""


def _fused_since(model: onnx.ModelProto, golden: Golden) -> str:
    """Why an unoptimised run rounds at other places than the recorded one did, in words; else empty."""
    fused = fused_operators(model) - int(golden.settings.get("fused", fused_operators(model)))
    return f"the model has {counted(fused, 'fused eight-bit operator')}, which the recorded one had not" * (fused > 0)


def _other_machine(golden: Golden) -> str:
    """On what else the golden was recorded; empty for this processor and this onnxruntime."""
    from importlib.metadata import version

    here = {"onnxruntime": version("onnxruntime"), "cpu": machine()}
    other = [f"{name} {golden.made_by[name]}" for name, mine in here.items() if golden.made_by.get(name, mine) != mine]
    return f"the golden was recorded with {' and '.join(other)}" if other else ""


def _names(model: onnx.ModelProto, golden: Golden) -> str:
    """The first input or output that the golden knows and the model lacks, in words; empty when there is none."""
    for kind, values in (("input", fed_inputs(model.graph)), ("output", list(model.graph.output))):
        names = [value.name for value in values]
        known = list(dict.fromkeys(_known(golden, f"{kind}s")))
        missing = [name for name in known if name not in names]
        extra = [name for name in names if name not in known]
        if missing:
            guess = difflib.get_close_matches(missing[0], extra, n=1, cutoff=0.0)
            return f"{kind} {missing[0]} is missing" + (f"; the model has {guess[0]}: renamed?" if guess else "")
        if extra:
            return f"{kind} {extra[0]} was not there when the golden was recorded; record it again if it is meant"
    return ""


def _known(golden: Golden, side: str) -> Iterator[str]:
    """Names of the inputs or outputs of the recorded model, also of those that no case compares."""
    yield from (str(port[0]) for port in golden.interface.get(side, ()))
    yield from (tensor.name for case in golden.cases for tensor in getattr(case, side))


def fitting_cases(model: onnx.ModelProto, golden: Golden) -> list[Case]:
    """The cases of a golden whose inputs the model takes.

    Raises:
        SurgeonError: there is none, or the model has other inputs or outputs than the recorded one.
    """
    problem = _names(model, golden)
    misfits = [_misfit(model, case.inputs) for case in golden.cases]
    fitting = [case for case, misfit in zip(golden.cases, misfits, strict=True) if not misfit]
    if problem or not fitting:
        reason = problem or next(iter(misfits), "it has no case")
        raise SurgeonError(f"the golden {golden.id} does not fit: {reason}")
    return fitting


def _misfit(model: onnx.ModelProto, inputs: Sequence[Tensor]) -> str:
    """Why recorded inputs do not fit the model's declared ones; empty when they do."""
    declared = {value.name: read_dims(value) for value in model.graph.input}
    for tensor in inputs:
        dims = declared.get(tensor.name)
        fits = dims is None or (
            len(dims) == len(tensor.shape)
            and all(isinstance(d, str) or d == s for d, s in zip(dims, tensor.shape, strict=True))
        )
        if not fits:
            return f"input {tensor.name} is {show(dims or ())}; the golden was recorded with {list(tensor.shape)}"
    return ""


def summary(tensors: Mapping[str, Mapping[str, Any]], wrong: Sequence[str], cases: int = 1, left: int = 0) -> str:
    """One line: what is wrong first, else how much of the tolerance is used."""
    if wrong:
        return wrong[0] + (f"; and {len(wrong) - 1} more" if len(wrong) > 1 else "")

    def used(name: str) -> float:
        figures = tensors[name]
        return float(figures.get("rms_rel", 0.0)) / (figures["tolerance"]["rms_rel"] or 1.0)

    others = f", {counted(left, 'case')} of other shapes left out" if left else ""
    count = counted(len(tensors) // cases if len(tensors) % cases == 0 else len(tensors), "output")
    counts = f"{count} as recorded{f' in {cases} cases' if cases > 1 else ''}{others}"
    if not tensors:
        return f"{counts}; no output is compared"
    worst = max(tensors, key=used)
    error, allowed = tensors[worst].get("rms_rel", 0.0), tensors[worst]["tolerance"]["rms_rel"]
    return f"{counts}; RMS error at most {error:.1e}, allowed {allowed:.1e} ({worst})"
