"""The profiles of the engines, and the script that builds them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import onnx

from export import deepstream
from export.deepstream import configs
from export.deepstream.engines import profile_of
from tests.export.deepstream.toy_files import read, toy


def test_profiles_have_the_published_numbers(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,256,64,64] current_vision_feat, float[b,n,256] memory_0,'
        " float[b,m,64,64,64] memory_1, float[b,k,64] memory_pos_embed) => (float[b,n,256] y) { y = Relu(memory_0) }"
    )
    assert profile_of(model, 1, 1024) == {
        "memory_0": ((1, 1, 256), (1, 16, 256), (1, 16, 256)),
        "memory_1": ((1, 1, 64, 64, 64), (1, 7, 64, 64, 64), (1, 7, 64, 64, 64)),
        "memory_pos_embed": ((1, 4100, 64), (1, 28736, 64), (1, 28736, 64)),
    }
    decoder = onnx.load(toy(tmp_path) / "mask_decoder.onnx")
    assert profile_of(decoder, 20, 1024)["point_coords"] == ((1, 1, 2), (10, 2, 2), (20, 2, 2))
    assert "high_res_feats_0" not in profile_of(decoder, 20, 1024)


STUB = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
for one in "$@"; do case $one in --saveEngine=*) echo engine > "${one#--saveEngine=}";; esac; done
exit ${FAIL:-0}
"""


def build(tmp_path: Path, folder: Path, **environment: str) -> tuple[int, list[str]]:
    """Run the script with a trtexec that notes its options and writes the engine."""
    stub, calls = tmp_path / "trtexec", tmp_path / "calls"
    stub.write_text(STUB)
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    script = tmp_path / "build_engines.sh"
    script.write_text(deepstream.plan(folder).texts["build_engines.sh"])
    found = {**os.environ, "TRTEXEC": str(stub), "CALLS": str(calls), **environment}
    code = subprocess.run(["bash", str(script), str(folder)], env=found, capture_output=True, check=False).returncode
    return code, calls.read_text().splitlines()


def test_script_builds_the_engines_that_the_settings_name(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    code, calls = build(tmp_path, folder)
    assert code == 0
    sections = read(deepstream.plan(folder).texts[configs.SEGMENTER_FILE])
    named = {Path(keys["modelEngineFile"]).name for name, keys in sections.items() if name}
    assert {path.name for path in folder.glob("*.engine")} == named
    attention = next(call for call in calls if "memory_attention" in call)
    assert "--builderOptimizationLevel=5" in attention
    assert "--memPoolSize=workspace:1000" in attention
    assert all("--fp16" in call and "--skipInference" in call for call in calls)
    # trtexec refuses shapes for a model without free dims
    assert "Shapes" not in next(call for call in calls if "image_encoder" in call)


def test_failed_build_leaves_no_engine(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    (folder / "image_encoder.onnx_b1_gpu0_fp16.engine").write_text("stale")
    code, calls = build(tmp_path, folder, FAIL="1")
    assert code != 0
    assert len(calls) == 1
    assert list(folder.glob("*.engine")) == []
