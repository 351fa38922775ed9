"""Stored tensors of every type: as many bytes or entries as the dims say, and neither more nor fewer."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from tests.verify.lint.models import weights
from tests.verify.lint.test_lint_messages import lines

BITS = {
    "FLOAT": 32, "DOUBLE": 64, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT8": 8, "UINT16": 16, "UINT32": 32,
    "UINT64": 64, "BOOL": 8, "FLOAT16": 16, "BFLOAT16": 16, "COMPLEX64": 64, "COMPLEX128": 128, "INT4": 4, "UINT4": 4,
    "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8,
    "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
}  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in BITS if kind in onnx.TensorProto.DataType.keys()])  # noqa: SIM118
def test_raw_bytes_of_every_type(kind: str) -> None:
    """65 values of a type take 65 times its bits, rounded up to whole bytes."""
    number = onnx.TensorProto.DataType.Value(kind)
    need = -(-65 * BITS[kind] // 8)
    for count in (need - 1, need, need + 1):
        model = weights(data_type=number, dims=[65], float_data=[], raw_data=bytes(count))
        said = f"tensor 'w' has 65 values by its dims, which take {need:,} bytes, and {count:,} are stored"
        assert lines(model, "SG75") == ([] if count == need else [said])


@pytest.mark.parametrize("kind", [kind for kind in [*BITS, "STRING"] if kind in onnx.TensorProto.DataType.keys()])  # noqa: SIM118
def test_values_of_every_type_as_onnx_itself_stores_them(kind: str) -> None:
    number = onnx.TensorProto.DataType.Value(kind)
    values: list[Any] = ["a", "b", "c"] if kind == "STRING" else [1, 0, 1]
    model = weights()
    model.graph.initializer[0].CopyFrom(onnx.helper.make_tensor("w", number, [3], values))
    assert lines(model, "SG75") == []
    model.graph.initializer[0].dims[0] = 9
    assert len(lines(model, "SG753")) == 1
