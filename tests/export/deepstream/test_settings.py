"""The files that DeepStream's MaskTracker reads, key by key, and what is said about files that may not work."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from export import deepstream
from export.deepstream import configs
from surgery.cli.commands.deepstream import RELEASES, command
from surgery.targets import releases
from tests.export.deepstream.toy_files import read, toy
from verify.errors import SurgeonError
from verify.interface.recognise import write_metadata

# What NVIDIA ships, in its order.
SEGMENTER = {
    "outputLabelNum": "1",
    "hiddenDim": "256",
    "encoderFeatureDim": "64",
    "inferDims": "[3, 1024, 1024]",
    "inputOrder": "0",
    "colorFormat": "0",
    "offsets": "[123.6750, 116.2800, 103.5300]",
    "netScaleFactor": "0.0174",
    "useVPICropScaler": "1",
    "updateMemBankPrompt": "1",
    "minIouDiff4MemoryUpdate": "0.3196",
    "minMemoryUpdateConfidence": "0.0089",
    "maskMemoryUpdateInterval": "1",
    "minIouPrevFrame4ProgBbox": "0.0053",
    "minPromptUpdateConfidence": "0.4960",
    "numConditionalMem": "1",
}


FOLDER = "/opt/nvidia/deepstream/deepstream/samples/models/Tracker"


def section(module: str, workspace: str, **more: str) -> dict[str, str]:
    file = f"{FOLDER}/{module}.onnx"
    usual = {"batchSize": "1", "workspaceSize": workspace, "networkMode": "1", "onnxFile": file}
    return {**usual, "modelEngineFile": f"{file}_b1_gpu0_fp16.engine", **more}


SECTIONS = {
    "ImageEncoder": section("image_encoder", "5000"),
    "MaskDecoder": section("mask_decoder", "5000"),
    "MemoryAttention": section("memory_attention", "1000", builderOptimizationLevel="5"),
    "MemoryEncoder": section("memory_encoder", "5000"),
}


TRACKER = {
    "BaseConfig": {"minDetectorConfidence": "0.3529"},
    "TargetManagement": {
        "enableBboxUnClipping": "1",
        "preserveStreamUpdateOrder": "0",
        "maxTargetsPerStream": "150",
        "minIouDiff4NewTarget": "0.7608",
        "minTrackerConfidence": "0.6223",
        "probationAge": "4",
        "maxShadowTrackingAge": "84",
        "earlyTerminationAge": "1",
    },
    "TrajectoryManagement": {"useUniqueID": "0"},
    "DataAssociator": {
        "dataAssociatorType": "0",
        "associationMatcherType": "1",
        "checkClassMatch": "1",
        "minMatchingScore4Overall": "0.0293",
        "minMatchingScore4SizeSimilarity": "0.1047",
        "minMatchingScore4Iou": "0.0437",
        "matchingScoreWeight4SizeSimilarity": "0.2410",
        "matchingScoreWeight4Iou": "0.8590",
        "tentativeDetectorConfidence": "0.1866",
        "minMatchingScore4TentativeIou": "0.3660",
    },
    "StateEstimator": {
        "stateEstimatorType": "1",
        "processNoiseVar4Loc": "2856.7104",
        "processNoiseVar4Size": "8157.1946",
        "processNoiseVar4Vel": "2602.8703",
        "measurementNoiseVar4Detector": "0.1000",
        "measurementNoiseVar4Tracker": "8.6695",
    },
    "Segmenter": {"segmenterType": "1", "segmenterConfigPath": "config_tracker_module_Segmenter.yml"},
}


@pytest.mark.parametrize("number", RELEASES)
def test_every_key_of_the_segmenter_is_there(number: str, tmp_path: Path) -> None:
    text = deepstream.plan(toy(tmp_path, 1), release=number).texts[configs.SEGMENTER_FILE]
    sections = read(text)
    top = {**SEGMENTER, "encoderFeatureDim": "4", "inferDims": "[3, 64, 64]"}  # the toy files have 64 pixels
    assert list(sections[""].items()) == list(top.items())
    assert {name: keys for name, keys in sections.items() if name} == SECTIONS
    assert text.startswith("%YAML:1.0\n")
    assert f"DeepStream {number} (TensorRT {releases()[number]['build']} on x86" in text
    assert "not published" in text


def test_usual_size_gives_the_shipped_numbers() -> None:
    of = configs.release("8.0")
    text = configs.segmenter([], 1024, deepstream.Preprocessing(), FOLDER, of, memory=True)
    assert list(read(text)[""].items()) == list(SEGMENTER.items())
    assert "may not work" not in text


@pytest.mark.parametrize("number", RELEASES)
def test_every_key_of_the_tracker_is_there(number: str, tmp_path: Path) -> None:
    sections = read(deepstream.plan(toy(tmp_path), release=number).texts[configs.TRACKER_FILE])
    assert sections.pop("") == {}
    assert {name: list(keys.items()) for name, keys in sections.items()} == {
        name: list(keys.items()) for name, keys in TRACKER.items()
    }


def test_lines_of_deepstream_app_draw_masks(tmp_path: Path) -> None:
    lines = deepstream.plan(toy(tmp_path)).texts[configs.APP_FILE].splitlines()
    assert (
        lines.index("[tracker]") < lines.index("ll-config-file=config_tracker_MaskTracker.yml") < lines.index("[osd]")
    )
    assert "display-mask=1" in lines[lines.index("[osd]") :]


def test_without_memory_two_files_serve_twenty_objects(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    for module in ("memory_attention", "memory_encoder"):
        (folder / f"{module}.onnx").unlink()
    made = deepstream.plan(folder, memory=False, objects=20)
    sections = read(made.texts[configs.SEGMENTER_FILE])
    assert "MemoryAttention" not in sections
    assert "MemoryEncoder" not in sections
    assert "# MemoryAttention:" in made.texts[configs.SEGMENTER_FILE]
    assert sections["MaskDecoder"]["batchSize"] == "20"
    assert sections["MaskDecoder"]["modelEngineFile"].endswith("/mask_decoder.onnx_b20_gpu0_fp16.engine")
    assert "point_coords:20x2x2" in made.texts["build_engines.sh"]
    assert "memory_" not in made.texts["build_engines.sh"]
    assert not any("memory" in line for line in made.warnings)


def test_fixed_batch_and_precision(tmp_path: Path) -> None:
    sections = read(deepstream.plan(toy(tmp_path, 1), objects=8, precision="fp32").texts[configs.SEGMENTER_FILE])
    assert sections["MemoryAttention"]["batchSize"] == "1"
    assert sections["MaskDecoder"]["batchSize"] == "8"
    assert sections["MaskDecoder"]["networkMode"] == "0"
    with pytest.raises(SurgeonError, match="int8"):
        deepstream.plan(tmp_path, precision="int8")


def test_other_files_are_refused(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    (folder / "mask_decoder.onnx").write_bytes((folder / "memory_encoder.onnx").read_bytes())
    with pytest.raises(SurgeonError, match="no input 'image_embed' in it"):
        deepstream.plan(folder)


def run(folder: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(
        command, [str(folder), "-o", str(out), *options], catch_exceptions=False, standalone_mode=False
    )


def test_command_writes_all_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(toy(tmp_path), out, "--exact", "--release", "9.2")
    assert "pix_feat" in result.output
    assert {path.name for path in out.iterdir()} == {
        "image_encoder_deepstream.onnx",
        "config_tracker_module_Segmenter.yml",
        "config_tracker_MaskTracker.yml",
        "deepstream_app_tracker.txt",
        "build_engines.sh",
    }
    encoder = read((out / configs.SEGMENTER_FILE).read_text())["ImageEncoder"]
    assert encoder["onnxFile"].endswith("/image_encoder_deepstream.onnx")
    assert "build image_encoder_deepstream.onnx" in (out / "build_engines.sh").read_text()


def test_other_sizes_and_batches_are_said(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    assert any("made for 64 pixels" in line for line in deepstream.plan(folder).warnings)
    assert "may not work" in deepstream.plan(folder).texts[configs.SEGMENTER_FILE]
    assert any(line.startswith("8 objects at once with memory") for line in deepstream.plan(folder, objects=8).warnings)


def half(path: Path, *, ports: bool) -> None:
    """Put a constant of float16 into the model, and with `ports` make its outputs float16."""
    model = onnx.load(path)
    model.graph.initializer.append(onnx.helper.make_tensor("half", onnx.TensorProto.FLOAT16, [1], [1.0]))
    if ports:
        model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, path)


@pytest.mark.parametrize(("precision", "said"), [("fp16", True), ("fp32", False)])
def test_half_typed_file_is_said_where_networkmode_is_1(precision: str, said: bool, tmp_path: Path) -> None:
    folder = toy(tmp_path)
    half(folder / "memory_encoder.onnx", ports=False)
    lines = deepstream.plan(folder, precision=precision).warnings
    assert any("memory_encoder.onnx: is in float16 inside" in line for line in lines) == said


def test_outputs_that_are_not_float32_are_said(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    half(folder / "image_encoder.onnx", ports=True)
    assert any("'pix_feat' is float16; the tracker" in line for line in deepstream.plan(folder).warnings)


def test_file_that_the_release_refuses_is_exit_1(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    path = folder / "image_encoder.onnx"
    model = onnx.load(path)
    model.graph.node.append(onnx.helper.make_node("Det", ["image"], ["determinant"], name="det"))
    onnx.save(model, path)
    result = run(folder, tmp_path / "out", "--release", "9.0")
    assert result.return_value == 1
    assert "TensorRT 10.14 (DeepStream 9.0) by NVIDIA's operator table: refuses 1 place" in result.output


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
def test_files_made_for_another_tensorrt_are_said(
    about: dict[str, str], precision: str, advised: bool, tmp_path: Path
) -> None:
    folder = toy(tmp_path)
    path = folder / "memory_attention.onnx"
    model = onnx.load(path)
    write_metadata(model, about)
    onnx.save(model, path)
    result = run(folder, tmp_path / "out", "--precision", precision)
    assert ("export with --target tensorrt" in result.output) == advised
    assert (tmp_path / "out" / configs.SEGMENTER_FILE).is_file()
