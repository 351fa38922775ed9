"""Inputs that must come out the same everywhere: pinned by hash, and held against what they stand for."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from verify.errors import SurgeonError
from verify.inputs.seeded import KINDS, draw, enlarge, standard
from verify.interface.spec import load_spec

PINNED = {
    "normal": ((3, 50), "float32", {}, "c5a0fad7"),
    "integers": ((40,), "int64", {"low": -3, "high": 12}, "2c64606b"),
    "constant": ((2, 2), "float32", {"value": -1}, "e74125e4"),
    "photo": ((1, 3, 64, 64), "float32", {}, "01036a28"),
    "mask": ((2, 1, 64, 64), "float32", {}, "de2183b5"),
    "coordinates": ((3, 4, 2), "float32", {"side": 1024}, "ec83e5aa"),
    "labels": ((4, 3), "float32", {}, "27c7490c"),
    "signs": ((3, 1), "float32", {}, "d93a2bd2"),
    "count": ((), "float32", {}, "fca31f16"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_values_are_pinned(kind: str) -> None:
    shape, dtype, options, wanted = PINNED[kind]
    array = draw(kind, shape, dtype, "7/x", **options)
    assert array.shape == shape
    assert array.dtype == dtype
    assert hashlib.sha256(array.tobytes()).hexdigest()[:8] == wanted


def test_normal_values_have_mean_0_and_variance_1() -> None:
    values = standard("s", 100_000)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert not np.array_equal(values[:9], standard("t", 9))


def test_enlarge_agrees_with_half_pixel_bilinear() -> None:
    plane = np.array([[0, 4], [8, 12]])
    assert enlarge(plane, 2, 2).tolist() == plane.tolist()
    assert enlarge(plane, 4, 4)[0].tolist() == [0, 1, 3, 4]
    assert enlarge(plane, 4, 4)[:, 0].tolist() == [0, 2, 6, 8]


def test_every_kind_that_the_spec_names_exists() -> None:
    spec_file = load_spec(batch="dynamic")
    for spec in spec_file.modules.values():
        assert all(port.values in KINDS for port in spec.inputs)
        for case in spec_file.golden[spec.module]:
            assert set(case) <= set(spec.symbols()) | {port.name for port in spec.inputs}


def test_box_corners_are_in_order_and_labels_vary_by_object() -> None:
    points = draw("coordinates", (5, 3, 2), "float32", "s", side=512)
    assert (points[:, 0] <= points[:, 1]).all()
    assert points.min() >= 0
    assert points.max() < 512
    assert draw("labels", (3, 2), "float32", "s").tolist() == [[2, 3], [1, -1], [1, 0]]


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(SurgeonError, match="choose normal"):
        draw("voice", (1,), "float32", "s")
    with pytest.raises(SurgeonError, match="not \\[1, 4, 8, 8\\]"):
        draw("photo", (1, 4, 8, 8), "float32", "s")
