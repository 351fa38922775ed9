"""`diagnose_model`: the public function of the diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import onnx

    from verify.report import Report


def diagnose_model(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    target: str = "tensorrt-rtx",
    build: bool = True,
    profiles: Mapping[str, Sequence[Sequence[int]]] | None = None,
    seconds: float = 300.0,
    fail_on: Literal["refused", "unknown"] = "refused",
) -> Report:
    """List everything that a target refuses in a model: where it is, why, and what to do.

    For "tensorrt-rtx" TensorRT's parser and builder run where they are installed; for other targets, and without
    TensorRT, a table of the target decides. `report.verdicts` says which it was.

    Args:
        model: path of an ONNX file, or an `onnx.ModelProto`.
        target: "tensorrt-rtx", "tensorrt", "onnxruntime", or a version such as "tensorrt-10.9" or "deepstream-8.0".
        build: run the builder after the parser.
        profiles: {input: (smallest, usual, largest)} shapes of dynamic inputs; sizes are guessed where it is None.
        seconds: time to search for more refusals after the first.
        fail_on: "unknown" makes `report.ok` False also where nothing is known about a node.

    Returns:
        A report with a finding for each refused node, and notes on what `surgery.fix` would change.

    Raises:
        SurgeonError: the model cannot be read, or an option does not fit.

    Example:
        >>> import onnx, surgery
        >>> model = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
        ... bits (int32[4] x, int32[4] y) => (int32[4] z) { z = BitwiseAnd(x, y) }''')
        >>> report = surgery.diagnose_model(model)
        >>> report.ok
        False
        >>> [(finding.code, finding.op) for finding in report.findings if finding.severity == "error"]
        [('SG111', 'BitwiseAnd')]
    """
    from surgery.diagnose import Settings, diagnose
    from surgery.pipeline.options import Options
    from verify.errors import SurgeonError
    from verify.model.on_disk import on_disk
    from verify.render.notebook import running

    if fail_on not in ("refused", "unknown"):
        raise SurgeonError(f"fail_on={fail_on!r}: give 'refused' or 'unknown'")
    settings = Settings(build, profiles, seconds, Options(target=target), fail_on)
    with on_disk(model) as (path, name), running(f"diagnosing {name}"):
        report = diagnose(path, settings)
    report.model = name
    return report
