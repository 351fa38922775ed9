"""Tolerances of outputs in half precision, measured by rounding every tensor of the model to float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.compare.tolerance import derive
from verify.errors import SurgeonError
from verify.goldens.compare import output_statistics
from verify.goldens.index import Case
from verify.goldens.inputs import make_inputs
from verify.run.session import open_session

if TYPE_CHECKING:
    import onnx

FLOAT = 1
ROUNDED = "every tensor rounded to float16"


def half_tolerances(path: Path, cases: Sequence[Case], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each case the tolerance of each output, in the form of `verify.compare.tolerance.derive`.

    Raises:
        SurgeonError: the rounded model cannot be run, or an output is not finite in half precision where it should be.
    """
    session = open_session(rounded_model(path).SerializeToString())
    found = []
    for case in cases:
        run = session.run(make_inputs(case, data)) if not session.error else session
        if run.error:
            raise SurgeonError(f"{path}: cannot be run in simulated half precision: {run.error}")
        tolerances = {}
        for output in case.outputs:
            figures = output_statistics(run.outputs[output.name], output, data)  # type: ignore[union-attr]
            if figures.get("inf_mismatch") or figures.get("nan_mismatch"):
                raise SurgeonError(
                    f"{path}: in fp16, output {output.name} becomes infinite or NaN (simulated here); "
                    "build it in fp32, or lower only the nodes that allow it: surgeon fix --precision mixed"
                )
            tolerances[output.name] = derive({ROUNDED: figures}, output.dtype)
        found.append(tolerances)
    return found


def rounded_model(path: Path) -> onnx.ModelProto:
    """The model with every float32 tensor of its main graph rounded to float16 and back."""
    import onnx

    from verify.compare.rounding import Lowered, round_tensors
    from verify.model.infer import infer_types
    from verify.model.read import read_model
    from verify.model.walk import tensor_names

    model = onnx.load(path)
    typed = infer_types(read_model(path)).graph
    floats = {v.name for v in (*typed.input, *typed.output, *typed.value_info) if v.type.tensor_type.elem_type == FLOAT}
    floats |= {tensor.name for tensor in model.graph.initializer if tensor.data_type == FLOAT}
    lowered = {
        place: Lowered("float16", frozenset(floats & set(node.input)), frozenset(floats & set(node.output)))
        for place, node in enumerate(model.graph.node)
    }
    round_tensors(model.graph, lowered, set(tensor_names(model.graph)))
    return model
