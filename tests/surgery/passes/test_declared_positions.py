"""NonZero with a declared number of places, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import left_alone, operators, same

TEXT = "g ({0}[2,3,4] x) => (int64[3,{1}] y) {{ y = NonZero(x) }}"


@pytest.mark.parametrize(("kind", "dtype"), [("bool", bool), ("float", np.float32), ("int64", np.int64)])
def test_places(kind: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    values = np.where(generator.random((2, 3, 4)) < 0.4, generator.integers(-3, 4, (2, 3, 4)), 0).astype(dtype)
    values = values / 4 if kind == "float" else values
    count = int((values != 0).sum())
    inputs = {"x": values.astype(dtype)}
    fixed = same(TEXT.format(kind, count), 17, "SG155", [inputs], exact=True, trust_declared_shapes=True)
    assert "NonZero" not in operators(fixed)


def test_left_alone() -> None:
    left_alone(TEXT.format("bool", "n"), 17, "SG155", trust_declared_shapes=True)
    left_alone(TEXT.format("bool", 5), 17, "SG155", trust_declared_shapes=True, target="tensorrt")
