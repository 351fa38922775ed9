"""What each target is known to refuse in a model, from surgeon's tables; no target runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import onnx

from surgery.diagnose.fixes import mark_by_table
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.static import only_by_pass, pass_findings, table_findings
from surgery.isolated import Died, run_isolated
from surgery.pipeline.options import Options
from surgery.targets import load_target
from verify.report import Finding

# One target of each product: the oldest TensorRT that a current DeepStream ships stands for the others.
SHOWN = ("tensorrt-rtx", "tensorrt", "onnxruntime")


@dataclass(frozen=True)
class Refusals:
    """Nodes that a target refuses according to its table.

    version    of the target that the table was made with
    operators  number of refused nodes by operator
    fixable    how many of the refused nodes `surgeon fix` rewrites
    skipped    why the passes could not search the model, or ""
    """

    version: str
    operators: dict[str, int]
    fixable: int
    skipped: str = ""

    @property
    def nodes(self) -> int:
        """Number of refused nodes."""
        return sum(self.operators.values())


def refusals(view: ModelView, folder: str) -> dict[str, Refusals]:
    """What each target refuses in the model; external data is in `folder`."""
    return {target: _refusals(view, folder, target) for target in SHOWN}


def _refusals(view: ModelView, folder: str, target: str) -> Refusals:
    options, known, skipped = Options(target=target), load_target(target), ""
    try:
        found, failed = pass_findings(view.model, folder, options, kinds=("replace",))
        skipped = "; ".join(failed)
    except Exception as error:  # a broken model that cannot be read as a graph
        found, skipped = [], f"{type(error).__name__}: {error}"
    refused = [f for f in [*table_findings(view, known), *only_by_pass(found, known)] if f.severity == "error"]
    marked = _marked(refused, view, folder, options)
    nodes = {(finding.path, finding.node): finding for finding in marked}
    fixable = sum(bool(finding.details["fixable"]) for finding in nodes.values())
    operators = Counter(finding.op for finding in nodes.values())
    ordered = dict(sorted(operators.items(), key=lambda item: (-item[1], item[0])))
    return Refusals(known.version, ordered, fixable, skipped)


def _marked(refused: list[Finding], view: ModelView, folder: str, options: Options) -> list[Finding]:
    """The refusals with `fixable`; the passes run in a process of their own, which a hostile model may end."""
    if not refused:
        return refused
    try:
        return run_isolated(_mark, refused, view.model, folder, options)
    except Died:
        return refused


def _mark(refused: list[Finding], model: onnx.ModelProto, folder: str, options: Options) -> list[Finding]:
    return mark_by_table(refused, ModelView(model), folder, options, load_target(options.target))
