"""`fix` and `fix_model`: read, run the passes, prove that the result computes the same, lower precision, write.

Each step takes what the step before it returned. Nothing is written until the last step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from surgery import steps
from surgery.files import model_file as files
from surgery.guard.original import Original
from surgery.isolated import FAULTS, Died, run_isolated
from surgery.pipeline.options import FOLD_LIMIT, LOOP_LIMIT, checked_options, flag, pass_tuple, with_spec, wrong_type
from surgery.pipeline.rule import Pass
from surgery.precision import DEFAULT_MAX_ERROR
from surgery.summary import summary
from verify.errors import SurgeonError
from verify.interface.spec import Spec
from verify.model.read import read_model
from verify.render.notebook import running
from verify.report import Check, Report
from verify.run.session import without_onnxruntime

if TYPE_CHECKING:
    from surgery.precision.calibration import Calibration
    from surgery.precision.step import Precision

__all__ = ["fix", "fix_model"]

Names = str | Iterable[str]
Shapes = Mapping[str, Sequence[int | str]]


def fix_model(
    model: onnx.ModelProto,
    *,
    target: str = "tensorrt-rtx",
    select: Names = (),
    ignore: Names = (),
    skip_nodes: Names = (),
    fold_limit: int = FOLD_LIMIT,
    loop_limit: int = LOOP_LIMIT,
    spec: str | Path | Spec | None = None,
    input_shapes: Shapes | None = None,
    set_inputs: Mapping[str, Any] | None = None,
    outputs: Names = (),
    passes: Pass | Iterable[Pass] = (),
    check_inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    guard: bool = True,
    strict: bool = False,
    precision: str | None = None,
    max_error: float = DEFAULT_MAX_ERROR,
    calibrate: Calibration | str | os.PathLike[str] | None = None,
    unfused_attention: bool = False,
) -> tuple[onnx.ModelProto, Report]:
    """Run the passes on a model in memory and compare the result with it.

    Args:
        model: left unchanged.
        target: "tensorrt-rtx", "tensorrt" or "onnxruntime".
        select: code or codes of passes to run ("SG005", or "SG0" for a group) instead of the default set.
        ignore: code or codes of passes that do not run.
        skip_nodes: name or names of nodes that stay as they are.
        fold_limit: bytes a folded constant may be larger than the constants it is computed from; from 65536 on
            more where all together add at most an eighth to the constants.
        loop_limit: largest trip count of a loop that is unrolled.
        spec: documented interface to bring names, order and dims to: "sam2", a TOML file or a `Spec`.
        input_shapes: dims of inputs by name; a number fixes a dim, a name or -1 leaves it free.
        set_inputs: inputs that become constants, by name.
        outputs: name or names of tensors that become the outputs.
        passes: a pass or passes of your own, which run after those of surgeon; docs/howto/write-a-pass.md has one.
        check_inputs: inputs to compare on instead of drawn ones: an .npz file, or arrays by name.
        guard: compare before returning; without it the report says "unchecked".
        strict: raise where nothing could be compared.
        precision: "fp16", "bf16" or "mixed" to lower the result to half precision; None leaves it in float32.
        max_error: most that an output may move by it: RMS of the difference over the RMS of the output.
        calibrate: inputs that half precision is measured on, and that the results are compared on if `check_inputs` is
            None: an .npz file, or a `Calibration`.
        unfused_attention: keep attention in float32.

    Returns:
        The fixed model (the very same object when nothing was found) and the report of what was done to it.

    Raises:
        SurgeonError: an option has a wrong type or does not fit the model.
        CheckFailed: the fixed model computes something else, half precision passes its budget, or `strict` and nothing
            could be compared.

    Example:
        >>> import onnx, surgery
        >>> model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
        ... tiny (float[2] x) => (float[2] y) { a = Identity(x)  y = Relu(a) }''')
        >>> fixed, report = surgery.fix_model(model)
        >>> [node.op_type for node in fixed.graph.node]
        ['Relu']
        >>> report.ok, report.checks[0].figures["passes"]
        (True, {'SG001': 1, 'SG016': 1})
    """
    started = time.perf_counter()
    options = checked_options(
        target=target,
        select=select,
        ignore=ignore,
        skip_nodes=skip_nodes,
        fold_limit=fold_limit,
        loop_limit=loop_limit,
        input_shapes=input_shapes,
        set_inputs=set_inputs,
        outputs=outputs,
        passes=passes,
    )
    if not isinstance(model, onnx.ModelProto):
        raise wrong_type("model", model, "an onnx.ModelProto; for a file there is surgery.fix")
    options = with_spec(options, spec, model, None)
    half = _precision(precision, max_error, calibrate, unfused_attention)
    original = Original(model, model)
    compared = _guard(_real_inputs(check_inputs, calibrate, model), guard, strict)
    with running(f"fixing {model.graph.name or 'the model'}"):
        result = steps.rewrite(original, options, compared, None, externalize=False)
        result = steps.lower(result, original, options, half, None, None)
    return result.model, summary(result, original, int(result.model.ByteSize()), started)


def fix(
    source_path: str | os.PathLike[str],
    target_path: str | os.PathLike[str],
    *,
    target: str = "tensorrt-rtx",
    select: Names = (),
    ignore: Names = (),
    skip_nodes: Names = (),
    fold_limit: int = FOLD_LIMIT,
    loop_limit: int = LOOP_LIMIT,
    spec: str | Path | Spec | None = None,
    input_shapes: Shapes | None = None,
    set_inputs: Mapping[str, Any] | None = None,
    outputs: Names = (),
    passes: Pass | Iterable[Pass] = (),
    check_inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    guard: bool = True,
    strict: bool = False,
    precision: str | None = None,
    max_error: float = DEFAULT_MAX_ERROR,
    calibrate: Calibration | str | os.PathLike[str] | None = None,
    unfused_attention: bool = False,
    in_place: bool = False,
    save_external_data: bool = False,
    isolated: bool = False,
) -> Report:
    """Fix the model at `source_path` and write it to `target_path`.

    Args:
        source_path: never touched, unless it is also the target and `in_place` is set.
        target_path: whole and checked, or what it was before.
        in_place: allow the target to be the source, which is backed up first.
        save_external_data: move weights into a file beside the model.
        isolated: work in a process of its own, as `surgeon fix` does. If onnxruntime crashes there, onnx.reference
            compares in its place; in this process a crash would end the caller. The findings of the report are then
            plain data, without their fixes.
        target, select, ignore, skip_nodes, fold_limit, loop_limit, spec, input_shapes, set_inputs, outputs, passes,
            check_inputs, guard, strict, precision, max_error, calibrate, unfused_attention: as those of `fix_model`.

    Raises:
        SurgeonError: the source cannot be read, the target cannot be written, or an option has a wrong type or does
            not fit the model.
        CheckFailed: the fixed model computes something else, half precision passes its budget, or `strict` and nothing
            could be compared.

    Example:
        >>> import onnx, surgery
        >>> onnx.save(onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
        ... tiny (float[2] x) => (float[2] y) { a = Identity(x)  y = Relu(a) }'''), "tiny.onnx")
        >>> surgery.fix("tiny.onnx", "tiny.fixed.onnx").ok
        True
    """
    given, started = dict(locals()), time.perf_counter()
    if flag("isolated", given.pop("isolated")):
        return _fix_isolated(given)
    options = checked_options(
        target=target,
        select=select,
        ignore=ignore,
        skip_nodes=skip_nodes,
        fold_limit=fold_limit,
        loop_limit=loop_limit,
        input_shapes=input_shapes,
        set_inputs=set_inputs,
        outputs=outputs,
        passes=passes,
    )
    half = _precision(precision, max_error, calibrate, unfused_attention)
    source, destination = _path("source_path", source_path), _path("target_path", target_path)
    same = source.exists() and destination.exists() and source.samefile(destination)
    if not flag("in_place", in_place) and same:
        raise SurgeonError(f"{source}: is the input too; choose another output, or ask for --in-place")
    externalize = flag("save_external_data", save_external_data)
    model = read_model(source)
    options = with_spec(options, spec, model, source)
    compared = _guard(_real_inputs(check_inputs, calibrate, model), guard, strict)
    original = Original(model, str(source), str(source.resolve().parent))
    with running(f"fixing {source}"), files.Pending(destination.resolve() if same else destination) as pending:
        pending.protect_data(model, original.folder)
        result = steps.rewrite(original, options, compared, pending, externalize)
        result = steps.lower(result, original, options, half, pending, destination)
        report = summary(result, original, os.path.getsize(pending.path), started)
        if same and result.model is model and not externalize:
            return report
        if same:
            report.checks.append(Check("backup", "pass", f"the original is kept as {files.back_up(source)}"))
        pending.commit()
    return report


def _fix_isolated(given: dict[str, Any]) -> Report:
    """`fix` in a process of its own; if a library dies there, once more with onnx.reference for onnxruntime."""
    target, without = _path("target_path", given["target_path"]), ""
    if any(getattr(rule.find, "__module__", "") == "__main__" for rule in pass_tuple(given["passes"])):
        raise SurgeonError("passes: isolated=True takes passes from an importable module; leave isolated out here")
    while True:
        try:
            return run_isolated(_fix_as_data, given, without)
        except Died as died:
            files.remove_pending(target, died.pid)
            if without or died.cause not in FAULTS:
                raise SurgeonError(f"{died}; nothing was written") from None
            without = f"crashed while it loaded or ran {died.work or 'a model'} ({died.name})"


def _fix_as_data(given: dict[str, Any], without: str) -> Report:
    """`fix`, `without` onnxruntime if that says why; the report can be sent to another process."""
    if without:
        without_onnxruntime(without)
    report = fix(**given)
    if without:
        report.checks.append(Check("onnxruntime", "skip", f"{without}; onnx.reference in its place"))
    report.findings = [replace(finding, fix=None, touches=()) for finding in report.findings]
    return report


def _real_inputs(check_inputs: Any, calibrate: Any, model: onnx.ModelProto) -> Any:
    """Inputs to compare on: `check_inputs`, else the first set of `calibrate`; None where neither was given."""
    if check_inputs is not None or calibrate is None:
        return check_inputs
    from surgery.precision.calibration import calibration

    return calibration(model, model, None, calibrate).inputs[0]


def _guard(check_inputs: Any, guard: Any, strict: Any) -> steps.Guard:
    """The options of the comparison, each of its type."""
    if check_inputs is not None and not isinstance(check_inputs, (str, os.PathLike, Mapping)):
        raise wrong_type("check_inputs", check_inputs, "the path of an .npz file, or arrays by input name")
    given = dict(check_inputs) if isinstance(check_inputs, Mapping) else check_inputs
    return steps.Guard(given, flag("guard", guard), flag("strict", strict))


def _precision(kind: Any, max_error: Any, calibrate: Any, unfused_attention: Any) -> Precision | None:
    """The options of half precision, each of its type; None for float32."""
    unfused = flag("unfused_attention", unfused_attention)
    if kind is None and calibrate is None:
        return None
    from surgery.precision.calibration import Calibration
    from surgery.precision.step import Precision

    if calibrate is not None and not isinstance(calibrate, (str, os.PathLike, Calibration)):
        raise wrong_type("calibrate", calibrate, "the path of an .npz file, or a Calibration")
    if kind is None:
        return None
    if not isinstance(kind, str):
        raise wrong_type("precision", kind, "a string")
    precision = Precision(kind, max_error, calibrate, unfused)
    precision.check()
    return precision


def _path(argument: str, value: Any) -> Path:
    if isinstance(value, onnx.ModelProto):
        raise SurgeonError(f"{argument}: give a path; for a ModelProto there is surgery.fix_model")
    if not isinstance(value, (str, os.PathLike)):
        raise wrong_type(argument, value, "a path")
    return Path(value)
