from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import parser

from export import deepstream
from export.deepstream import Preprocessing
from export.tracking import modules
from surgery.cli.commands.deepstream import command
from tests.export import toy_networks
from verify.errors import CheckFailed, SurgeonError
from verify.interface.recognise import write_metadata


def read(text: str) -> dict[str, dict[str, str]]:
    """Sections of a two-level YAML text; keys above the first section are under ""."""
    sections: dict[str, dict[str, str]] = {"": {}}
    section = ""
    for line in text.splitlines()[1:]:
        line = line.split(" #")[0].rstrip()
        if not line or line.startswith("#"):
            continue
        key, _, value = line.strip().partition(":")
        if not line.startswith(" ") and not value:
            section = key
            sections[section] = {}
        else:
            sections[section if line.startswith(" ") else ""][key] = value.strip().strip('"')
    return sections


def test_settings_name_the_four_files(tmp_path: Path) -> None:
    text = deepstream.segmenter_config(toy_networks.write(tmp_path), objects=8, target_folder="/models")
    sections = read(text)
    assert text.startswith("%YAML:1.0\n")
    assert sections[""]["segmenterType"] == "1"
    assert sections[""]["inferDims"] == "[3, 64, 64]"
    assert sections[""]["numConditionalMem"] == "1"
    assert sections["ImageEncoder"] == {
        "batchSize": "1",
        "workspaceSize": "5000",
        "networkMode": "1",
        "onnxFile": "/models/image_encoder.onnx",
        "modelEngineFile": "/models/image_encoder.onnx_b1_gpu0_fp16.engine",
    }
    assert sections["MaskDecoder"]["batchSize"] == "8"
    assert sections["MemoryAttention"]["builderOptimizationLevel"] == "5"
    assert sections["MemoryAttention"]["workspaceSize"] == "1000"
    assert sections["MemoryEncoder"]["modelEngineFile"] == "/models/memory_encoder.onnx_b8_gpu0_fp16.engine"


def test_fixed_batch_and_precision(tmp_path: Path) -> None:
    sections = read(deepstream.segmenter_config(toy_networks.write(tmp_path, 1), objects=8, precision="fp32"))
    assert sections["MemoryAttention"]["batchSize"] == "1"
    assert sections["MaskDecoder"]["batchSize"] == "8"
    assert sections["MaskDecoder"]["networkMode"] == "0"
    with pytest.raises(SurgeonError, match="int8"):
        deepstream.segmenter_config(tmp_path, precision="int8")


def test_other_files_are_refused(tmp_path: Path) -> None:
    folder = toy_networks.write(tmp_path)
    (folder / "mask_decoder.onnx").write_bytes((folder / "memory_encoder.onnx").read_bytes())
    with pytest.raises(SurgeonError, match="no input 'image_embed' in it"):
        deepstream.segmenter_config(folder)


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


def test_command(tmp_path: Path) -> None:
    folder, out = toy_networks.write(tmp_path / "toy"), tmp_path / "out"
    result = CliRunner().invoke(command, [str(folder), "-o", str(out), "--exact"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "pix_feat" in result.output
    sections = read((out / deepstream.CONFIG_FILE).read_text())
    assert sections["ImageEncoder"]["onnxFile"].endswith("/image_encoder_deepstream.onnx")
    assert (out / deepstream.ENCODER_FILE).exists()


@pytest.mark.parametrize(
    ("about", "precision", "advised"),
    [
        ({"target": "tensorrt-rtx", "precision": "fp32"}, "fp16", True),
        ({"target": "tensorrt-rtx", "precision": "fp32"}, "fp32", False),
        ({"target": "tensorrt-rtx", "precision": "mixed"}, "fp16", False),
        ({"target": "tensorrt", "precision": "fp32"}, "fp16", False),
        ({}, "fp16", False),
    ],
)
def test_files_made_for_another_tensorrt_are_told(
    about: dict[str, str], precision: str, advised: bool, tmp_path: Path
) -> None:
    folder = toy_networks.write(tmp_path / "files")
    path = folder / "memory_attention.onnx"
    model = onnx.load(path)
    write_metadata(model, about)
    onnx.save(model, path)
    run = CliRunner().invoke(command, [str(folder), "-o", str(tmp_path / "out"), "--precision", precision])
    assert run.exit_code == 0
    assert ("--target tensorrt" in run.output) == advised
    assert (tmp_path / "out" / deepstream.CONFIG_FILE).is_file()
