"""The image encoder for DeepStream's preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from export.deepstream import preprocessing as deepstream
from export.deepstream.preprocessing import Preprocessing
from export.tracking import modules
from tests.export import toy_networks
from verify.errors import CheckFailed, SurgeonError


@pytest.mark.parametrize("offsets", [deepstream.OFFSETS, (120.0, 110.0, 100.0)])
def test_edited_encoder_is_exact(tmp_path: Path, offsets: tuple[float, float, float]) -> None:
    errors = deepstream.write_exact_encoder(
        toy_networks.write(tmp_path), tmp_path / "new.onnx", Preprocessing(offsets=offsets)
    )
    onnx.checker.check_model(onnx.load(tmp_path / "new.onnx"), full_check=True)
    assert errors["pix_feat"]["as exported"] > 1e-3
    assert max(error["edited"] for error in errors.values()) < 1e-5


def test_edit_adds_nodes_only_where_offsets_differ(tmp_path: Path) -> None:
    model = onnx.load(toy_networks.write(tmp_path) / "image_encoder.onnx")
    usual = deepstream.fold_preprocessing(model, Preprocessing())
    other = deepstream.fold_preprocessing(model, Preprocessing(offsets=(0.0, 0.0, 0.0)))
    assert [node.op_type for node in usual.graph.node] == [node.op_type for node in model.graph.node]
    assert len(other.graph.node) == len(model.graph.node) + 1
    assert len(usual.graph.initializer) == len(model.graph.initializer)


def test_shared_weights_keep_their_other_use() -> None:
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,4,4] image) => (float[1,1,4,4] y, float[1,3,1,1] w_out)
        <float[1,3,1,1] w = {1,2,3}> { y = Conv(image, w)  w_out = Identity(w) }"""
    )
    edited = deepstream.fold_preprocessing(model, Preprocessing())
    assert {tensor.name for tensor in edited.graph.initializer} == {"w", "w_deepstream"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = Relu(image)", "'image' goes into Relu"),
        ("a = Conv(image, w)  b = Conv(image, w)  y = Add(a, b)", "goes into Conv, Conv"),
        ("v = Identity(w)  y = Conv(image, v)", "are not stored in the file"),
    ],
)
def test_other_encoders_are_refused(body: str, message: str) -> None:
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,4,4] image) => (float[1,3,4,4] y)'
        f"<float[3,3,1,1] w = {{1,2,3,4,5,6,7,8,9}}> {{ {body} }}"
    )
    with pytest.raises(SurgeonError, match=message):
        deepstream.fold_preprocessing(model, Preprocessing())


def test_nothing_is_written_when_the_edit_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy_networks.write(tmp_path)
    monkeypatch.setattr(deepstream, "fold_preprocessing", lambda model, preprocessing: model)
    with pytest.raises(CheckFailed, match="nothing written"):
        deepstream.write_exact_encoder(folder, tmp_path / "new.onnx", Preprocessing())
    assert not (tmp_path / "new.onnx").exists()


def test_preprocessing_is_scale_times_pixel_less_offset() -> None:
    pixels = np.full((2, 2, 3), 200, np.uint8)
    values = Preprocessing()(pixels)
    np.testing.assert_allclose(values[0, :, 0, 0], (200 - np.array(deepstream.OFFSETS)) * 0.0174, rtol=1e-6)


def test_tracker_refuses_the_edited_encoder(tmp_path: Path) -> None:
    folder = toy_networks.write(tmp_path)
    deepstream.write_exact_encoder(folder, folder / "image_encoder.onnx", Preprocessing())
    with pytest.raises(SurgeonError, match="DeepStream's preprocessing"):
        modules.load(folder)
