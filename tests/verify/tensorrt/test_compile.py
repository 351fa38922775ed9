"""What a build says, from its log and from the real builder; profiles and the command line around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner
from onnx import parser

from surgery.cli.commands.compile import command
from verify.errors import SurgeonError
from verify.tensorrt import engine
from verify.tensorrt.compile import capability, compile_model
from verify.tensorrt.log import kernels, memory
from verify.tensorrt.profiles import parse_profile, profiles_for, show_profile, trtexec
from verify.tensorrt.table import as_data

needs_tensorrt = pytest.mark.skipif(not engine.available(), reason="TensorRT is not installed")
CONVOLUTIONS = """<ir_version: 8, opset_import: ["" : 17]>
c (float[N,3,16,16] image) => (float[N,4,14,14] y) {
[first] a = Conv(image, w)  [last] y = Erf(a) }"""
LOG = [
    "Max Scratch Memory: 1 bytes",
    "Max Scratch Memory: 4096 bytes",
    "Total Weights Memory: 20 bytes",
    "Layers:\nName: wait_0, LayerType: wait, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, "
    "Metadata: \n"
    "Name: _gemm_mha_v2_myl0_1, LayerType: kgen, Inputs: [ { Name: q, Dimensions: [2,3], Strides: [3,1], StrideOrder: "
    "[1,0], Datatype: Half, Format: (Linear) Row major }], Constants: [], Outputs: [ { Name: o, Dimensions: [2,3], "
    "Strides: [3,1], StrideOrder: [1,0], Datatype: Float, Format: (Linear) Row major }], TacticName: t, StreamId: 0, "
    "Metadata: [ONNX Layer: a/MatMul]\x1f[ONNX Layer: b[0]]",
]  # fmt: skip


def save(folder: Path, text: str = CONVOLUTIONS) -> Path:
    path = folder / "model.onnx"
    model = parser.parse_model(text)
    if text is CONVOLUTIONS:
        model.graph.initializer.append(
            onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4, 3, 3, 3], [0.1 * (i % 7) for i in range(108)])
        )
    onnx.save(model, path)
    return path


def test_kernels_are_read_from_the_log() -> None:
    (kernel,) = kernels(LOG)
    assert kernel.fused_attention
    assert kernel.sources == ("a/MatMul", "b[0]")
    assert kernel.precision == "fp16+fp32"
    assert [tensor.bytes for tensor in (*kernel.inputs, *kernel.outputs)] == [12, 24]
    assert memory(LOG) == {"scratch": 4096, "weights": 20, "activations": 0}


@needs_tensorrt
def test_the_same_file_gives_the_same_figures(tmp_path: Path) -> None:
    path = save(tmp_path)
    shapes = profiles_for(path, ("image:2x3x16x16",))
    builds = [compile_model(path, shapes, "sm86", engine=tmp_path / "kept.engine") for _ in range(2)]
    first, second = (as_data(build, timed=False) for build in builds)
    assert first == second
    assert first["ok"]
    assert first["kernels"] == sum(first["kinds"].values()) == sum(first["precisions"].values()) > 0
    assert first["weights"] >= 432
    assert (tmp_path / "kept.engine").stat().st_size == first["engine"]


@needs_tensorrt
def test_a_refusal_is_said(tmp_path: Path) -> None:
    built = compile_model(
        save(tmp_path, '<ir_version: 8, opset_import: ["" : 17]> m (float[2] x) => (float[2] y) {y=No(x)}')
    )
    assert not built.ok
    assert any("No" in message for message in built.messages)


@needs_tensorrt
def test_two_models_side_by_side(tmp_path: Path) -> None:
    path = str(save(tmp_path))
    run = CliRunner().invoke(command, [path, "--vs", path, "--input-shape", "image:1x3x16x16", "--format", "json"])
    assert run.exit_code == 0, run.output
    one, two = json.loads(run.output)["builds"]
    assert one["kernels"] == two["kernels"]
    table = CliRunner().invoke(command, [path, "--input-shape", "image:1x3x16x16"])
    assert "kernels" in table.output
    assert "0 of 0" in table.output


def test_profiles_from_flags_and_as_a_command(tmp_path: Path) -> None:
    path = save(tmp_path)
    shapes = profiles_for(path, ("image:2x3x16x16",), ("image:1x3x16x16",), ("image:8x3x16x16",))
    assert shapes == {"image": ((1, 3, 16, 16), (2, 3, 16, 16), (8, 3, 16, 16))}
    line = trtexec(path, shapes, "out.engine")
    assert "--minShapes=image:1x3x16x16 --optShapes=image:2x3x16x16 --maxShapes=image:8x3x16x16" in line
    assert "--stronglyTyped" not in line
    with pytest.raises(SurgeonError, match="no input 'picture'"):
        profiles_for(path, ("picture:1x3x16x16",))


def test_profiles_from_the_spec(tmp_path: Path) -> None:
    text = (
        '<ir_version: 8, opset_import: ["" : 17]> memory_attention (float[1,256,64,64] current_vision_feat, '
        "float[4096,1,256] current_vision_pos_embed, float[P,256] memory_0, float[F,64,64,64] memory_1, "
        "float[1,T,64] memory_pos_embed) => (float[1,256,64,64] image_embed) "
        "{ image_embed = Relu(current_vision_feat) }"
    )
    path = tmp_path / "memory_attention.onnx"
    onnx.save(parser.parse_model(text), path)
    fixed = profiles_for(path, sizes={"frames": 3, "pointers": 4, "objects": 1})
    assert fixed is not None
    assert fixed["memory_pos_embed"][0] == fixed["memory_pos_embed"][2]
    assert 3 * 4096 + 16 in fixed["memory_pos_embed"][1]
    free = profiles_for(path)
    assert free is not None
    assert free["memory_1"][0] != free["memory_1"][2]


@pytest.mark.parametrize(("gpu", "wanted"), [("ada", "SM89"), ("SM120", "SM120"), ("8.6", "SM86"), ("Turing", "SM75")])
def test_generations(gpu: str, wanted: str) -> None:
    assert capability(gpu) == wanted


def test_an_unknown_generation_is_refused() -> None:
    with pytest.raises(SurgeonError, match="unknown GPU 'volta'"):
        capability("volta")


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("x:1x3", ((1, 3), (1, 3), (1, 3))),
        ("x:1,3..8,3", ((1, 3), (8, 3), (8, 3))),
        ("a:b:[1,3]..4x3..8x3", ((1, 3), (4, 3), (8, 3))),
        ("x:1x3..1x3..8x3", ((1, 3), (1, 3), (8, 3))),
    ],
)
def test_profiles_are_read_and_shown_alike(text: str, points: Any) -> None:
    name, read = parse_profile(text)
    assert read == points
    assert parse_profile(show_profile(name, read)) == (name, points)


@pytest.mark.parametrize("text", ["x:8x3..1x3", "x:1x3..8", "x:1..2..3..4", "x:1..", "x:..2"])
def test_profiles_that_are_no_range_are_refused(text: str) -> None:
    with pytest.raises(SurgeonError, match="write it as input:"):
        parse_profile(text)
