"""Sine position tables stored as their factor."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("sam2")
torch = pytest.importorskip("torch")

from export.onnx_file.position_tables import factor_tables  # noqa: E402


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
