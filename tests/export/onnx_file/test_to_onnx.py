"""Raw exports of both torch exporters: interface, values, constant outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("sam2")

from export.modules.wrap import wrap
from export.onnx_file.to_onnx import check_opset, example_inputs, name_constant_outputs, to_onnx
from export.stock.modules import run_stock
from verify.errors import SurgeonError
from verify.interface.check import check_shapes
from verify.interface.spec import Spec, load_spec

Build = Callable[..., Any]


def run(path: Path, spec: Spec, inputs: dict[str, Any]) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [port.name for port in spec.outputs]
    feeds = {port.name: inputs[port.name].numpy() for port in spec.inputs}
    return dict(zip(names, session.run(names, feeds), strict=True))


def holds(model: Any, spec: Spec, path: Path, **symbols: int) -> None:
    """The file computes what stock SAM2 does at these sizes."""
    inputs = example_inputs(spec, seed=1, **symbols)
    got, wanted = run(path, spec, inputs), run_stock(spec.module, model, inputs)
    for name, value in wanted.items():
        error = np.abs(got[name] - value.numpy()).max() / np.sqrt(np.mean(value.numpy() ** 2))
        assert error < 1e-4, (name, error)


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("module", ["memory_encoder", "memory_attention"])
def test_memory_modules(thin_model: Build, tmp_path: Path, module: str, dynamo: bool) -> None:
    model = thin_model()
    spec = load_spec(image_size=128, batch="dynamic")[module]
    path = tmp_path / spec.file
    to_onnx(wrap(module, model), spec, path, dynamo=dynamo)
    proto = onnx.load(path)
    name_constant_outputs(proto)
    onnx.save(proto, path)
    if dynamo:
        assert [c.message for c in check_shapes(path, spec) if c.status == "fail"] == []
    sizes = [{"objects": 1, "frames": 1, "pointers": 1}, {"objects": 3, "frames": 4, "pointers": 16}]
    for symbols in sizes:
        holds(model, spec, path, **{k: v for k, v in symbols.items() if k in spec.symbols()})


@pytest.mark.parametrize("opset", [17, 25])
def test_the_opset_asked_for_is_written(thin_model: Build, tmp_path: Path, opset: int) -> None:
    model, spec = thin_model(), load_spec(image_size=128, batch="dynamic")["memory_encoder"]
    path = tmp_path / spec.file
    to_onnx(wrap("memory_encoder", model), spec, path, opset=opset)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [entry.version for entry in proto.opset_import] == [opset]
    holds(model, spec, path, objects=2)


def test_constant_outputs_get_a_node() -> None:
    value = onnx.helper.make_tensor("code", 1, [2], [1.0, 2.0])
    outputs = [onnx.helper.make_tensor_value_info(name, 1, [2]) for name in ("code", "y")]
    node = onnx.helper.make_node("Neg", ["code"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], outputs, [value]))
    name_constant_outputs(model)
    onnx.checker.check_model(model)
    assert [(n.op_type, list(n.input), list(n.output)) for n in model.graph.node] == [
        ("Neg", ["code_value"], ["y"]),
        ("Identity", ["code_value"], ["code"]),
    ]


def test_opsets_out_of_range() -> None:
    with pytest.raises(SurgeonError, match="choose 17 to 25"):
        check_opset(16)
