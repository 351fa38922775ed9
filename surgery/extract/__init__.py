"""Writes a part of a model as a model of its own, after comparing it with the whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from surgery.diagnose.model_view import ModelView, port
from surgery.diagnose.utf8 import require_text
from surgery.extract.cut import Cut, as_model, find_cut
from surgery.extract.parity import compare, run_whole
from surgery.files import model_file as files
from verify.errors import CheckFailed, SurgeonError
from verify.model.read import read_model
from verify.render.text import port_text
from verify.report import Check, Report, counted

__all__ = ["extract"]


def extract(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    values: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Report:
    """Write the nodes between `inputs` and `outputs` of the model at `source` to `target`.

    Both are run before: the whole model on drawn inputs, the part on the values that its inputs have there. Where the
    outputs differ nothing is written.

    Args:
        inputs: tensors that become inputs; inputs of the model that the part still needs stay.
        outputs: tensors that become outputs; those of the model by default.
        values: array of each input of the whole model, to compare on, instead of drawn ones.
        strict: write nothing where the model cannot be run.

    Raises:
        SurgeonError: the model cannot be read, has no such tensor, or `target` cannot be written.
        CheckFailed: the part computes something else, or `strict` and nothing could be compared.
    """
    file, place = Path(source), Path(target)
    model = read_model(file)
    require_text(model, str(file))
    if place.exists() and place.samefile(file):
        raise SurgeonError(f"{place}: is the model itself; choose another output")
    view = ModelView(model)
    found = find_cut(view, str(file), inputs, outputs)
    whole = run_whole(model, file.parent, [*found.inputs, *found.outputs], values)
    part = as_model(view, found, whole.first)
    with files.Pending(place) as pending:
        pending.write(part, str(file.parent))
        check = compare(part, pending.path, found, whole)
        if check.status == "fail" or (strict and check.status == "skip"):
            raise CheckFailed(f"{place}: nothing was written: {check.message}")
        pending.commit()
    return Report(str(place), [_summary(view, file, found, part), *_added(found, inputs), check])


def _summary(view: ModelView, file: Path, found: Cut, part: onnx.ModelProto) -> Check:
    nodes = {"nodes": len(found.nodes), "nodes_of_the_whole": len(view.nodes)}
    takes, gives = (
        ", ".join(port_text(port(value.name, {value.name: value.type})).replace("  ", " ") for value in values)
        for values in (part.graph.input, part.graph.output)
    )
    said = (
        f"{len(found.nodes):,} of {counted(len(view.nodes), 'node')} of {file}: from {takes or 'constants'} to {gives}"
    )
    return Check("extract", "pass", said, {**nodes, "inputs": list(found.inputs), "outputs": list(found.outputs)})


def _added(found: Cut, asked: Sequence[str]) -> list[Check]:
    if not found.added or not asked:
        return []
    text = f"kept {', '.join(found.added)}, which the outputs need too and --inputs does not name"
    return [Check("inputs", "pass", text, {"added": list(found.added)})]
