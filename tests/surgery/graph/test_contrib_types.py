"""Types of what onnxruntime's own operators give, and that the rules for them stay inside."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest

from surgery.graph.infer import infer
from surgery.graph.read import to_graph
from verify.model.walk import opsets_of

HEAD = '<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>\n'
S = "<float s = {0.1}, uint8 z = {3}>"
EMBEDDED = "int32[2,7] i, float[9,4] w, float[8,4] p, float[4] g"
Q = "float[2,S,4] q, float[2,T,4] k, float[2,T,6] v"


def kinds(text: str) -> dict[str, tuple[str, list[Any] | None]]:
    """Name -> dtype and dims of every output of a node, with free dims as None."""
    model = onnx.parser.parse_model(HEAD + text)
    graph = to_graph(model)
    infer(graph, opsets_of(model.opset_import))
    made = [tensor for node in graph.nodes for tensor in node.outputs if tensor.dtype is not None]
    return {
        tensor.name: (
            np.dtype(tensor.dtype).name,
            None if tensor.shape is None else [dim if isinstance(dim, int) else None for dim in tensor.shape],
        )
        for tensor in made
    }


@pytest.mark.parametrize(
    ("inputs", "call", "kind", "dims"),
    [
        ("float[2,N] x", "com.microsoft.Gelu(x)", "float32", [2, None]),
        ("float[2,4] x, float[4] w", "LayerNormalization(x, w)", "float32", [2, 4]),
        ("float[2,3,4] x, float[5,4] w", "com.microsoft.FusedMatMul<transB = 1>(x, w)", "float32", [2, 3, 5]),
        (Q, "com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v)", "float32", [2, None, 6]),
        ("uint8[2,1] a, uint8[4] b", "com.microsoft.QLinearAdd(a, s, z, b, s, z, s, z)", "uint8", [2, 4]),
        ("uint8[2,3,8,8] a", "com.microsoft.QLinearGlobalAveragePool(a, s, z, s, z)", "uint8", [2, 3, 1, 1]),
        ("uint8[2,3] a", "com.microsoft.DequantizeLinear(a, s, z)", "float32", [2, 3]),
        (EMBEDDED, "com.microsoft.EmbedLayerNormalization(i, , w, p, , g, g)", "float32", [2, 7, 4]),
    ],
)
def test_types_and_dims(inputs: str, call: str, kind: str, dims: list[Any]) -> None:
    found = kinds(f"g ({inputs}) => ({kind.removesuffix('32')} y) {S} {{ t = {call}  y = Identity(t) }}")
    assert found["t"] == found["y"] == (kind, dims)


def test_an_input_of_unknown_type_leaves_the_output_unknown() -> None:
    text = "g (float[2] x) => (float y) { a = com.microsoft.Unheard(x)  t = com.microsoft.Gelu(a)  y = Relu(t) }"
    assert "t" not in kinds(text)


def test_the_users_own_domain_keeps_no_rules() -> None:
    kinds("g (float[2] x) => (float y) { y = com.microsoft.Gelu(x) }")
    with pytest.raises(onnx.defs.SchemaError):
        onnx.defs.get_schema("Gelu", 1, "com.microsoft")


def test_onnx_reference_still_runs_after_the_rules_are_known() -> None:
    model = onnx.parser.parse_model(HEAD + "g (float[2] x) => (float[2] y) { y = Neg(x) }")
    code = (
        "import onnx, sys; from tests.surgery.graph.test_contrib_types import kinds; from onnx.reference import "
        "ReferenceEvaluator; kinds('g (float[2] x) => (float y) { y = com.microsoft.Gelu(x) }'); "
        "ReferenceEvaluator(onnx.ModelProto.FromString(bytes.fromhex(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, model.SerializeToString().hex()], check=True)
