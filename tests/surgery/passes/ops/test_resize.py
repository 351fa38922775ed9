"""The matrices of Resize."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from surgery.graph.write import to_model
from surgery.passes.ops.resize import matrices
from tests.surgery.passes.ops.running import node_of


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("where", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
def test_resize_is_a_product_with_its_matrices(mode: str, where: str) -> None:
    body = f'y = Resize<mode = "{mode}", coordinate_transformation_mode = "{where}">(x, , , s)'
    graph, node, context = node_of(f"s = Constant<value = int64[4] {{1, 2, 9, 3}}>() {body}", "float[1,2,5,7] x")
    found = matrices(graph, node, context)
    assert found is not None
    assert {axis: matrix.shape for axis, matrix in found.items()} == {2: (9, 5), 3: (3, 7)}
    data = np.random.default_rng(1).standard_normal((1, 2, 5, 7)).astype("f")
    wanted = ReferenceEvaluator(to_model(graph)).run(None, {"x": data})[0]
    assert np.allclose(np.einsum("oh,pw,bchw->bcop", found[2], found[3], data), wanted, atol=1e-5)


def test_resize_of_unknown_sizes_has_no_matrices() -> None:
    graph, node, context = node_of('y = Resize<mode = "linear">(x, , s)', "float[1,2,5,7] x, float[4] s")
    assert matrices(graph, node, context) is None
