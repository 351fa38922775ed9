"""Raw exports of both torch exporters: interface, values, constant outputs; and a whole export by the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("sam2")

from export.modules.wrap import wrap
from export.onnx_file.to_onnx import check_opset, example_inputs, name_constant_outputs, to_onnx
from export.pipeline import Request, metadata
from export.stock.modules import run_stock
from verify.errors import SurgeonError
from verify.interface.check import check_shapes
from verify.interface.recognise import read_metadata
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


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("huge"), "choose tiny"),
        (Request(version="3"), r"choose 2\.1"),
        (Request(image_size=100), "multiple of 32"),
        (Request(semantics="sam3"), "choose sam2 or masktracker|choose sam2, masktracker"),
        (Request(target="tvm"), "choose tensorrt-rtx"),
        (Request(batch="all"), "whole number"),
        (Request(opset=3), "choose 17"),
    ],
)
def test_a_request_is_checked_before_anything_is_loaded(request_: Request, said: str) -> None:
    with pytest.raises(SurgeonError, match=said):
        request_.check()


def test_metadata_name_the_weights() -> None:
    request = Request(image_size=512, batch="dynamic", semantics="masktracker")
    found = metadata(request, request.spec_file()["mask_decoder"], "reference:1")
    assert found["checkpoint"] == "reference:1"
    assert (found["module"], found["image_size"], found["batch"]) == ("mask_decoder", "512", "dynamic")


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path) -> None:
    """Four checked files, and a second run that leaves them alone."""
    call = [sys.executable, "-m", "surgery", "export", "tiny", "--weights", "reference", "--image-size", "128"]
    call += ["--batch", "dynamic", "--check", "-o", str(tmp_path), "--raw"]
    first = subprocess.run(call, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "reference weights" in first.stderr
    assert first.stdout.count("  pass   stock SAM2  max ") == 4
    assert "4 models: all checks passed; checks: 16 passed" in first.stdout
    files = sorted(path.name for path in tmp_path.glob("*.onnx"))
    assert files == ["image_encoder.onnx", "mask_decoder.onnx", "memory_attention.onnx", "memory_encoder.onnx"]
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == files
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.onnx")}
    for path in before:
        assert read_metadata(onnx.load(path))["checkpoint"] == "reference:1"
    second = subprocess.run([*call[:-1]], capture_output=True, text=True, check=False)
    assert second.returncode == 0
    assert second.stdout.count("nodes, reused") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
