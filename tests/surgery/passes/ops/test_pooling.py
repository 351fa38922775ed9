"""Windows of pooling."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from surgery.graph.write import to_model
from surgery.passes.ops.pooling import counts, window_of
from tests.surgery.passes.ops.running import node_of


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("attributes", ["pads = [1, 0, 2, 1]", 'auto_pad = "SAME_UPPER"', "strides = [2, 3]"])
def test_how_many_elements_a_window_averages_over(attributes: str, include: int) -> None:
    body = f"y = AveragePool<kernel_shape = [3, 2], count_include_pad = {include}, {attributes}>(x)"
    graph, node, context = node_of(body, "float[1,1,7,8] x")
    window = window_of(node, context)
    assert window is not None
    model = to_model(graph)
    total = ReferenceEvaluator(model).run(None, {"x": np.ones((1, 1, 7, 8), "f")})[0]
    # The average of ones is one without pads; with pads that count it is the share of elements that are no pads.
    real = counts(window, include_pads=False)
    assert np.allclose(total[0, 0], real / counts(window, include_pads=bool(include)))
