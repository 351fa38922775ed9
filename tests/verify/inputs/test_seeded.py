"""Inputs that must come out the same everywhere: pinned by hash, and held against what they stand for."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from verify.errors import SurgeonError
from verify.inputs.seeded import EDGES, KINDS, draw, enlarge, standard
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
    "uniform": ((40,), "float32", {"low": -2.0, "high": 3.0}, "1a275b91"),
    "heavy": ((40,), "float32", {}, "75ea9e62"),
    "edges": ((60,), "float32", {}, "3e5ccfb4"),
    "edge_photo": ((1, 3, 64, 64), "float32", {}, "d83b27c0"),
    "edge_mask": ((2, 1, 64, 64), "float32", {}, "9d06d6cc"),
    "edge_coordinates": ((2, 5, 2), "float32", {"side": 1024}, "8ae0ef97"),
    "ends": ((40,), "int64", {"low": -3, "high": 12}, "fb28ef6f"),
    "sweep": ((3, 7), "int64", {"low": 2, "high": 9}, "d88203c0"),
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
            assert set(case) <= {"edges", *spec.symbols(), *(port.name for port in spec.inputs)}


def test_box_corners_are_in_order_and_labels_vary_by_object() -> None:
    points = draw("coordinates", (5, 3, 2), "float32", "s", side=512)
    assert (points[:, 0] <= points[:, 1]).all()
    assert points.min() >= 0
    assert points.max() < 512
    assert draw("labels", (3, 2), "float32", "s").tolist() == [[2, 3], [1, -1], [1, 0]]


def test_kinds_for_models_without_a_spec_hold_what_they_are_for() -> None:
    edges = draw("edges", (3000,), "float32", "s")
    assert {0.0, np.float32(1e-4), 4.5, -6.0} <= set(edges.tolist())
    assert 0.3 < np.isin(edges, np.asarray(EDGES, np.float32)).mean() < 0.37
    uniform = draw("uniform", (3000,), "float32", "s", low=-1.0, high=255.0)
    assert -1.0 <= uniform.min() < 0.0 < 250.0 < uniform.max() < 255.0
    heavy = np.abs(draw("heavy", (3000,), "float32", "s"))
    assert heavy.max() > 15
    assert np.median(heavy) < 0.5
    assert set(draw("ends", (50,), "int64", "s", low=2, high=7).tolist()) == {2, 7}
    assert draw("sweep", (2, 4), "int64", "s", low=1, high=5).tolist() == [[1, 2, 3, 4], [5, 1, 2, 3]]
    assert abs(draw("normal", (3000,), "float32", "s", scale=0.01).std() - 0.01) < 1e-3


@pytest.mark.parametrize(("kind", "like"), [("edge_photo", "photo"), ("edge_mask", "mask")])
def test_pictures_with_edges_are_pictures_for_the_most_part(kind: str, like: str) -> None:
    edged, plain = (draw(one, (1, 3, 64, 64), "float32", "s") for one in (kind, like))
    assert {0.0, np.float32(1e-4), 4.5, -6.0} <= set(edged.ravel().tolist())
    assert 0.97 < (edged == plain).mean() < 0.99


def test_coordinates_with_edges_lie_outside_the_picture_and_on_its_corner() -> None:
    points = draw("edge_coordinates", (2, 4, 2), "float32", "s", side=256)
    assert np.array_equal(points[:, :1], draw("coordinates", (2, 4, 2), "float32", "s", side=256)[:, :1])
    assert points.min() < -4
    assert points.max() > 256
    assert {0.0, np.float32(5e-4)} <= set(points.ravel().tolist())


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(SurgeonError, match="choose normal"):
        draw("voice", (1,), "float32", "s")
    with pytest.raises(SurgeonError, match="not \\[1, 4, 8, 8\\]"):
        draw("photo", (1, 4, 8, 8), "float32", "s")
