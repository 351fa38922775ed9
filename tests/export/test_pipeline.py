"""Requests, metadata, and a whole export by the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import onnx.parser
import pytest

pytest.importorskip("sam2")

from export.check import judge
from export.pipeline import Request, _reuse, _stamp, export_all, metadata
from export.seal import BLANK, KEY, seal
from export.weights.choose import find_weights
from tests.export import toy_networks
from verify.errors import SurgeonError
from verify.interface.recognise import read_metadata, write_metadata
from verify.tensorrt.profiles import profiles_for, trtexec


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("huge"), "choose tiny"),
        (Request(version="3"), r"choose 2\.1"),
        (Request(image_size=100), "multiple of 32"),
        (Request(semantics="sam3"), "choose sam2 or masktracker|choose sam2, masktracker"),
        (Request(target="tvm"), "choose tensorrt-rtx"),
        (Request(batch="all"), "whole number"),
        (Request(opset=3), "choose 17"),
        (Request(only=("mask_encoder",)), "module 'mask_encoder' is not known; choose image_encoder, mask_decoder"),
        (Request(prompts=True, semantics="masktracker"), "needs --semantics sam2"),
        (Request(only=("mask_decoder_prompts",), semantics="masktracker"), "needs --semantics sam2"),
        (Request(prompted_frames=0), "prompted frames is 0"),
        (Request(prompted_frames=122), "prompted frames is 122; give at most 121 at 1024 pixels and batch 1: "),
        (Request(prompted_frames=2034, image_size=512), "give at most 2033 at 512 pixels and batch 1: "),
        (Request(prompted_frames=58, batch=2), "give at most 57 at 1024 pixels and batch 2: "),
        (Request(prompted_frames=2, batch=20), "give at most 1 at 1024 pixels and batch 20: "),
        (Request(prompted_frames=10**30), "give at most 121 "),
    ],
)
def test_a_request_is_checked_before_anything_is_loaded(request_: Request, said: str) -> None:
    with pytest.raises(SurgeonError, match=said):
        request_.check()


@pytest.mark.parametrize(
    ("most", "image_size", "batch"), [(121, 1024, 1), (2033, 512, 1), (57, 1024, 2), (121, 1024, "dynamic")]
)
def test_the_most_prompted_frames_fill_the_largest_tensor(most: int, image_size: int, batch: int | str) -> None:
    """The scores of memory attention: one row for each token of the image, one column for each of the memory."""
    request = Request(prompted_frames=most, image_size=image_size, batch=batch)
    request.check()
    profiles = request.spec_file()["memory_attention"].profiles()
    rows, columns = profiles["current_vision_pos_embed"].max[0], profiles["memory_pos_embed"].max[1]
    objects = batch if isinstance(batch, int) else 1
    assert objects * rows * columns < 2**31 <= objects * rows * (columns + rows + 4)


@pytest.mark.parametrize(
    ("request_", "modules"),
    [
        (Request(), ["image_encoder", "mask_decoder", "memory_attention", "memory_encoder"]),
        (Request(only=("memory_encoder", "mask_decoder_prompts")), ["mask_decoder_prompts", "memory_encoder"]),
    ],
)
def test_modules_that_are_exported(request_: Request, modules: list[str]) -> None:
    request_.check()
    assert list(request_.spec_file().modules) == modules
    assert list(Request(prompts=True).spec_file().modules)[2] == "mask_decoder_prompts"


def test_prompted_frames_are_in_the_metadata_where_there_are_several() -> None:
    for count, said in ((1, None), (3, "3")):
        request = Request(prompted_frames=count)
        spec = request.spec_file()["memory_attention"]
        assert metadata(request, spec, "reference:1").get("prompted_frames") == said


def test_trtexec_is_given_room_for_every_prompted_frame(tmp_path: Path) -> None:
    """7 memories and 16 pointers, and one more of each for every prompted frame after the first."""
    written = metadata(
        Request(image_size=64, prompted_frames=3), Request().spec_file()["memory_attention"], "reference:1"
    )
    path = toy_networks.write(tmp_path, metadata={**written, "batch": "dynamic"}) / "memory_attention.onnx"
    command = trtexec(path, profiles_for(path))
    largest = next(word for word in command.split() if word.startswith("--maxShapes="))
    assert "memory_0:20x18x256,memory_1:20x9x64x4x4,memory_pos_embed:20x216x64" in largest


def test_a_file_for_other_prompted_frames_is_not_reused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float x) => (float y) { y = Neg(x) }')
    spec = Request().spec_file()["memory_attention"]
    write_metadata(model, {**metadata(Request(prompted_frames=3), spec, "reference:1"), KEY: BLANK})
    onnx.save(model, tmp_path / spec.file)
    seal(tmp_path / spec.file)
    assert _reuse(tmp_path / spec.file, spec, metadata(Request(), spec, "reference:1")) is None
    assert _reuse(tmp_path / spec.file, spec, metadata(Request(prompted_frames=3), spec, "reference:1")) is not None


def test_a_file_that_was_changed_after_the_export_is_not_reused(tmp_path: Path) -> None:
    text = "g (float[2] x) => (float[2] y) <float[2] w = {1.5, 2.5}> { y = Mul(x, w) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    spec = Request().spec_file()["memory_encoder"]
    wanted = metadata(Request(), spec, "reference:1")
    path = tmp_path / spec.file
    write_metadata(model, wanted)
    onnx.save(model, path)
    assert _reuse(path, spec, wanted) is None  # of a version that did not seal its files
    write_metadata(model, {KEY: BLANK})
    onnx.save(model, path)
    assert _reuse(path, spec, wanted) is None
    seal(path)
    item = _reuse(path, spec, wanted)
    assert item is not None
    assert item.reused
    sealed = onnx.load(path)
    assert sealed.graph == model.graph
    sealed.graph.initializer[0].float_data[1] = 2.75
    onnx.save(sealed, path)
    assert _reuse(path, spec, wanted) is None
    with pytest.raises(ValueError, match="no blank content_sha256 in its metadata"):
        seal(path)


def test_metadata_name_the_weights() -> None:
    request = Request(image_size=512, batch="dynamic", semantics="masktracker")
    found = metadata(request, request.spec_file()["mask_decoder"], "reference:1")
    assert found["checkpoint"] == "reference:1"
    assert (found["module"], found["image_size"], found["batch"]) == ("mask_decoder", "512", "dynamic")


@pytest.mark.slow
def test_all_four_in_opset_17(tmp_path: Path) -> None:
    """What NVIDIA's exporter writes; checked by ONNX, against stock SAM2, and by TensorRT's parser and builder."""
    request = Request(image_size=256, batch="dynamic", opset=17)
    weights = find_weights("tiny", "2.1", tmp_path, source="reference")
    done, model = export_all(request, weights, tmp_path)
    for item in done:
        file = onnx.load(item.path)
        onnx.checker.check_model(file, full_check=True)
        assert [entry.version for entry in file.opset_import] == [17]
        assert read_metadata(file)["opset"] == "17"
    for verdict in judge(done, model, "sam2", objects=2):
        assert {check.name: check.status for check in verdict.checks if check.status == "fail"} == {}
        assert verdict.parity.status == "pass"


def test_a_file_in_another_opset_than_requested_is_refused(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", 1, [1])
    node = onnx.helper.make_node("Neg", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    path = tmp_path / "m.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    with pytest.raises(SurgeonError, match="torch wrote m in opset 18, not 17; choose --opset 18"):
        _stamp(path, {"module": "m", "opset": "17", "target": "tensorrt"})


def test_the_whole_command(tmp_path: Path) -> None:
    """Four checked files, and a second run that leaves them alone."""
    call = [sys.executable, "-m", "surgery", "export", "tiny", "--weights", "reference", "--image-size", "128"]
    call += ["--batch", "dynamic", "--check", "-o", str(tmp_path), "--raw"]
    first = subprocess.run(call, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "reference weights" in first.stderr
    assert first.stdout.count("  pass   stock SAM2  max ") == 4
    assert "4 models: all checks passed; checks: 16 passed" in first.stdout
    files = sorted(path.name for path in tmp_path.glob("*.onnx"))
    assert files == ["image_encoder.onnx", "mask_decoder.onnx", "memory_attention.onnx", "memory_encoder.onnx"]
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == files
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.onnx")}
    for path in before:
        assert read_metadata(onnx.load(path))["checkpoint"] == "reference:1"
    second = subprocess.run([*call[:-1]], capture_output=True, text=True, check=False)
    assert second.returncode == 0
    assert second.stdout.count("nodes, reused") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
