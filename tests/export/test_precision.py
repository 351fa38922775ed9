"""Half precision in an export, the decoder's two forms, and tables stored by their parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("sam2")
torch = pytest.importorskip("torch")

from export.check import budget, holds_bfloat16, parity_check  # noqa: E402
from export.modules.wrap import wrap  # noqa: E402
from export.onnx_file.position_tables import factor_tables  # noqa: E402
from export.onnx_file.to_onnx import example_inputs  # noqa: E402
from export.pipeline import Request, export_all  # noqa: E402
from export.precision import Halves, real_inputs  # noqa: E402
from export.stock.cases import Error  # noqa: E402
from export.stock.modules import run_stock  # noqa: E402
from export.weights.choose import find_weights  # noqa: E402
from verify.errors import SurgeonError  # noqa: E402
from verify.interface.recognise import read_metadata  # noqa: E402
from verify.interface.spec import load_spec  # noqa: E402

Build = Callable[..., Any]


def table_model(table: np.ndarray) -> onnx.ModelProto:
    shape = list(table.shape)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "table"], ["y"], "add")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_sine_table_is_stored_by_its_factor_and_made_again_bit_for_bit() -> None:
    factor = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)
    grid = np.concatenate(np.broadcast_arrays(factor[:, None], factor[None]), axis=2).reshape(256, 128)
    model = table_model(grid)
    before = model.ByteSize()
    assert factor_tables(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < before / 20
    (made,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": np.zeros_like(grid)})
    assert np.array_equal(made, grid)


@pytest.mark.parametrize("shape", [(256, 128), (200, 128), (4, 4)])
def test_other_tables_stay(shape: tuple[int, int]) -> None:
    model = table_model(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    before = model.SerializeToString()
    assert factor_tables(model) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize("semantics", ["sam2", "masktracker"])
def test_the_fusable_decoder_equals_stock(thin_model: Build, semantics: str) -> None:
    model = thin_model()
    inputs = example_inputs(load_spec(image_size=128, batch="dynamic")["mask_decoder"])
    wanted = run_stock("mask_decoder", model, inputs, semantics)
    with torch.inference_mode():
        got = wrap("mask_decoder", model, semantics, "tensorrt", "mixed")(**inputs)
    for value, (name, right) in zip(got, wanted.items(), strict=True):
        assert float((value - right).abs().max() / right.square().mean().sqrt()) < 1e-4, name


def test_unknown_precisions_and_budgets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="precision 'fp8'"):
        Request(precision="fp8").check()
    with pytest.raises(SurgeonError, match="no budget"):
        Halves(max_error=-1.0).check(["mask_decoder"])
    with pytest.raises(SurgeonError, match=r"mask_decoder\.npz"):
        Halves(calibrate=tmp_path).check(["mask_decoder"])
    (tmp_path / "mask_decoder.npz").touch()
    Halves(calibrate=tmp_path).check(["mask_decoder", "memory_encoder"])


def test_half_precision_is_held_to_its_budget() -> None:
    errors = [Error("m", "photo", "y", 5e-2, 1e-3, rms=4e-3)]
    assert parity_check(errors, 1e-2).status == "pass"
    assert parity_check(errors, 1e-3).status == "fail"
    assert parity_check(errors).status == "fail"  # as float32 it would be wanting
    assert parity_check([], 1e-2).status == "skip"


def test_real_inputs_are_calls_of_every_module(thin_model: Build) -> None:
    spec_file = load_spec(image_size=64, batch="dynamic")
    found = real_inputs(thin_model(size=64), spec_file.modules, "sam2", 2)
    for module, spec in spec_file.modules.items():
        for call in found[module]:
            assert {port.name for port in spec.inputs} <= set(call)
    assert found["memory_attention"][0]["memory_1"].shape[:2] == (2, 7)


@pytest.mark.slow
def test_a_mixed_export_says_what_it_cost(tmp_path: Path) -> None:
    request = Request("tiny", image_size=64, batch="dynamic", precision="mixed")
    weights = find_weights("tiny", "2.1", tmp_path, source="reference")
    done, _ = export_all(request, weights, tmp_path)
    for item in done:
        assert item.precision is not None
        assert max(item.precision.figures["errors"].values()) <= 1e-2
        assert "photo" in item.precision.figures["measured_on"]
        model = onnx.load(item.path)
        assert read_metadata(model)["precision"] == "mixed"
        assert all(
            port.type.tensor_type.elem_type == TensorProto.FLOAT for port in (*model.graph.input, *model.graph.output)
        )
        assert budget(item.path) == 1e-2
        assert not holds_bfloat16(item.path)
    again, _ = export_all(request, weights, tmp_path)
    assert all(item.reused for item in again)
