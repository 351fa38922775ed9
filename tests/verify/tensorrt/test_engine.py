"""The real parser and builder on models small enough to read."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from verify.errors import MissingBackend, SurgeonError
from verify.tensorrt import engine as tensorrt
from verify.tensorrt import process
from verify.tensorrt.check import check_tensorrt
from verify.tensorrt.profiles import parse_profile
from verify.tensorrt.worker import clean

needs_tensorrt = pytest.mark.skipif(not tensorrt.available(), reason="TensorRT is not installed")
HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def write(folder: Path, text: str) -> Path:
    path = folder / "model.onnx"
    onnx.save(parser.parse_model(HEADER + text), path)
    return path


@needs_tensorrt
def test_accepted_model_builds(tmp_path: Path) -> None:
    path = write(tmp_path, "m (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    assert tensorrt.parse(path) == []
    result = tensorrt.build(path)
    assert result.ok
    assert result.engine_bytes > 1000
    assert result.profiles == {}
    assert result.messages == result.log == ()


@needs_tensorrt
def test_every_refusal_of_a_file_is_reported(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """m (float[2,3] x, int32[2,3] i) => (float[2,3] y, int32[2,3] j, int64[2,3] k) {
            [first] y, m, v = LayerNormalization(x, x)
            [second] j = BitwiseNot(i)
            [third] k = Unheard(x)
        }""",
    )
    refusals = tensorrt.parse(path)
    assert {(r.node_name, r.op) for r in refusals} >= {("first", "LayerNormalization"), ("third", "Unheard")}
    assert len(refusals) == len(set(refusals))
    assert all(r.message and "cudaError" not in r.message for r in refusals)


@needs_tensorrt
def test_refused_input_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "m (int16[2] wide) => (float[2] y) { y = Cast<to=1>(wide) }")
    (refusal, *_) = tensorrt.parse(path)
    assert (refusal.code, refusal.tensor, refusal.node) == ("UNSUPPORTED_NODE", "wide", -1)


@needs_tensorrt
def test_refusal_inside_a_branch_names_the_inner_operator(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """m (bool c, float[4] x) => (float y) {
            r = Relu(x)
            [outer] y = If(c) <
              then_branch = a () => (float t) { [inner] t = Det(r) },
              else_branch = b () => (float e) { e = ReduceMax<keepdims=0>(r) }
            >
        }""",
    )
    (refusal, *_) = tensorrt.parse(path)
    assert (refusal.op, refusal.node_name, refusal.node) == ("Det", "inner", 1)


@needs_tensorrt
def test_model_that_parses_and_does_not_build(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """m (bool c, float[4] x) => (float[N] y) {
            y = If(c) <then_branch = a () => (float[4] t) { t = Relu(x) },
                       else_branch = b () => (float e) { e = ReduceMax<keepdims=0>(x) }>
        }""",
    )
    assert tensorrt.parse(path) == []
    result = tensorrt.build(path)
    assert not result.ok
    assert not result.refusals
    assert "equal ranks" in " ".join(result.messages)


@needs_tensorrt
def test_profiles_are_derived_or_given(tmp_path: Path) -> None:
    path = write(tmp_path, "m (float[N,3] x, float[N,3] z) => (float[N,3] y) { y = Add(x, z) }")
    derived = tensorrt.build(path)
    assert derived.ok
    assert derived.derived
    assert derived.profiles["x"] == derived.profiles["z"]
    span = ((1, 3), (2, 3), (8, 3))
    given = tensorrt.build(path, {"x": span, "z": span})
    assert given.ok
    assert not given.derived
    contradiction = tensorrt.build(path, {"x": span, "z": ((9, 3), (9, 3), (9, 3))})
    assert not contradiction.ok
    assert contradiction.messages


@needs_tensorrt
def test_shape_input_takes_values(tmp_path: Path) -> None:
    path = write(tmp_path, "m (float[12] x, int64[2] s) => (float[A,B] y) { y = Reshape(x, s) }")
    result = tensorrt.build(path, {"s": ((3, 4), (3, 4), (3, 4))})
    assert result.ok
    assert result.profiles["s"] == ((3, 4), (3, 4), (3, 4))
    disordered = tensorrt.build(path, {"s": ((3, 4), (12, 1), (4, 3))})
    assert not disordered.ok
    assert "rofile" in disordered.messages[0]


@needs_tensorrt
def test_detailed_build_lists_kernels_and_engine_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "m (float[2,8] x, float[8,4] w) => (float[2,4] y) { y = MatMul(x, w) }")
    engine = tmp_path / "model.engine"
    result = tensorrt.build(path, detailed=True, engine=engine)
    assert result.ok
    assert "LayerType: gemm" in "\n".join(result.log)
    assert engine.stat().st_size == result.engine_bytes


@needs_tensorrt
def test_external_data_is_found_and_its_loss_reported(tmp_path: Path) -> None:
    model = parser.parse_model(HEADER + "m (float[2,64] x) => (float[2,64] y) { y = MatMul(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(np.eye(64, dtype=np.float32), "w"))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert tensorrt.parse(path) == []
    (tmp_path / "weights.bin").unlink()
    (refusal, *_) = tensorrt.parse(path)
    assert refusal.code == "INVALID_GRAPH"
    assert "w" in refusal.message


@needs_tensorrt
def test_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for content in (b"\x00\x01 not a model", b"", b"\x08\x08:\xff"):
        path.write_bytes(content)
        (refusal, *_) = tensorrt.parse(path)
        assert refusal.code == "MODEL_DESERIALIZE_FAILED"
    with pytest.raises(SurgeonError, match="no such file"):
        tensorrt.parse(tmp_path / "absent.onnx")


@needs_tensorrt
def test_crash_and_hang_are_messages_and_the_next_call_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "m (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    assert tensorrt.parse(path) == []
    worker = process._worker
    assert worker is not None
    os.kill(worker.process.pid, signal.SIGSEGV)
    assert tensorrt.parse(path)[0].code == "CRASH"
    hung = tensorrt.build(path, limit=0.0)
    assert not hung.ok
    assert "did not answer" in hung.messages[0]
    assert tensorrt.parse(path) == []


def test_missing_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorrt, "BACKENDS", {"tensorrt_that_is_not_there": "tensorrt-none"})
    assert not tensorrt.available()
    with pytest.raises(MissingBackend, match="pip install tensorrt-rtx") as caught:
        tensorrt.parse(tmp_path / "any.onnx")
    assert caught.value.exit_code == 4


def test_messages_lose_cuda_noise_and_foreign_paths() -> None:
    raw = (
        "Invalid Node - n\nA: Error Code 4: API Usage Error (Type is Float. In demand at /_src/optimizer/g.cpp:1846)\n"
        "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at "
        "/_src/common/dispatch/checkMacros.cpp:250 (cudaError 35: CUDA driver version is insufficient))"
    )
    assert clean(raw) == "Invalid Node - n\nA: Error Code 4: API Usage Error (Type is Float.)"


@needs_tensorrt
def test_a_branch_chosen_by_a_size_builds_at_that_size_only(tmp_path: Path) -> None:
    """Where a dim is 1 the branches agree in rank; guessed sizes must not stand for others."""
    path = write(
        tmp_path,
        """m (float[a,b,c] x) => (float[p,q,r] y) <int64 one = {1}, int64[1] axis = {0}> {
            size = Shape<start=0, end=1>(x)
            same = Equal(size, one)
            flag = Squeeze(same)
            y = If(flag) <
                then_branch = t () => (float[p,q,r] t) { t = Identity(x) },
                else_branch = e () => (float[p,q] e) { e = Squeeze(x, axis) }
            >
        }""",
    )
    checks = {check.name: check for check in check_tensorrt(path, None)}
    builder = checks["tensorrt builder"]
    assert builder.status == "pass"
    assert "at guessed sizes only: --input-shape x:1x1x1" in builder.message
    name, points = parse_profile("x:2x3x5")
    checks = {check.name: check for check in check_tensorrt(path, {name: points})}
    assert checks["tensorrt builder"].status == "fail"


@needs_tensorrt
def test_a_printed_profile_can_be_run(tmp_path: Path) -> None:
    path = write(tmp_path, "m (float[a,3] x) => (float[a,3] y) { y = Relu(x) }")
    guessed = check_tensorrt(path, None)[-1]
    printed = guessed.message.split("--input-shape ")[1]
    name, points = parse_profile(printed)
    assert [list(point) for point in points] == guessed.figures["guessed"]["x"]
    again = check_tensorrt(path, {name: points})[-1]
    assert (again.status, "guessed" in again.message) == ("pass", False)
