"""The real SAM2.1 tiny at 256 pixels, exported here: right as it is, and every spoilt copy of it found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

MODULES = ("image_encoder", "mask_decoder", "memory_attention", "memory_encoder")
PROMPTS = "mask_decoder_prompts"
pytestmark = pytest.mark.slow


def surgeon(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "surgery", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sam2")
    folder = tmp_path_factory.mktemp("sam2")
    options = ("--weights", "reference", "--image-size", "256", "--batch", "dynamic", "--prompts")
    done = surgeon(folder, "export", "tiny", *options, "-o", "tiny")
    assert done.returncode == 0, done.stdout
    files = [f"tiny/{module}.onnx" for module in (*MODULES, PROMPTS)]
    done = surgeon(folder, "golden", "record", "--from-torch", *files)
    assert done.returncode == 0, done.stdout
    return folder


def test_as_exported(exported: Path) -> None:
    done = surgeon(exported, "verify", "tiny", "--against-torch")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("pass   golden") == done.stdout.count("pass   stock SAM2") == 5
    assert f"tiny/{PROMPTS}.onnx" in done.stdout


def test_tensorrt_builds_the_decoder_with_mask_prompts(exported: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    done = surgeon(exported, "verify", f"tiny/{PROMPTS}.onnx", "--strict")
    assert done.returncode == 0, done.stdout
    assert "pass   tensorrt" in done.stdout


def test_goldens_are_found_from_anywhere_by_metadata(exported: Path) -> None:
    (exported / "elsewhere.onnx").write_bytes((exported / "tiny/memory_encoder.onnx").read_bytes())
    done = surgeon(exported, "verify", "elsewhere.onnx", "--no-trt")
    assert (done.returncode, "3 outputs as recorded in 5 cases" in done.stdout) == (0, True), done.stdout


def renamed_input(model: onnx.ModelProto) -> None:
    old = model.graph.input[0].name
    model.graph.input[0].name = "renamed"
    for node in model.graph.node:
        node.input[:] = ["renamed" if name == old else name for name in node.input]


def transposed_output(model: onnx.ModelProto) -> None:
    output = next(v for v in model.graph.output if v.name in ("obj_ptr", "image_embed", "maskmem_features", "pix_feat"))
    for node in model.graph.node:
        node.output[:] = ["straight" if name == output.name else name for name in node.output]
        node.input[:] = ["straight" if name == output.name else name for name in node.input]
    rank = len(output.type.tensor_type.shape.dim)
    order = [*range(rank - 2), rank - 1, rank - 2]
    model.graph.node.append(helper.make_node("Transpose", ["straight"], [output.name], perm=order))
    dims = list(output.type.tensor_type.shape.dim)
    copies = [deepcopy(dims[axis]) for axis in order]
    del output.type.tensor_type.shape.dim[:]
    output.type.tensor_type.shape.dim.extend(copies)


def zeroed_weights(model: onnx.ModelProto) -> None:
    """A thousandth of one weight tensor: of the largest that a MatMul, Gemm or Conv reads."""
    read = {name for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "Conv") for name in node.input}
    tensor = max((t for t in model.graph.initializer if t.name in read), key=lambda t: np.prod(t.dims))
    values = numpy_helper.to_array(tensor).copy().reshape(-1)
    values[np.random.Generator(np.random.Philox(2)).choice(values.size, max(values.size // 1000, 1), replace=False)] = 0
    tensor.CopyFrom(numpy_helper.from_array(values.reshape(tuple(tensor.dims)), tensor.name))


def claims_another(model: onnx.ModelProto) -> None:
    for entry in model.metadata_props:
        if entry.key == "surgeon.module":
            entry.value = next(module for module in MODULES if module != entry.value)


SPOILT: dict[str, tuple[Callable[[onnx.ModelProto], None], tuple[str, ...]]] = {
    "renamed input": (renamed_input, ("the model has renamed",)),
    "transposed output": (transposed_output, ("transposed?", "instead of", "Incompatible", "spec says", "RMS")),
    "zeroed weights": (zeroed_weights, ("allowed",)),
    "another module": (claims_another, ("but its inputs and outputs are those of", "but has")),
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", list(SPOILT))
def test_spoilt_copies_are_found(exported: Path, module: str, name: str) -> None:
    spoil, messages = SPOILT[name]
    model = onnx.load(exported / f"tiny/{module}.onnx")
    spoil(model)
    onnx.save(model, exported / "spoilt.onnx")
    done = surgeon(exported, "verify", "spoilt.onnx", "--no-trt", "--no-cache")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    words = " ".join(done.stdout.split())
    assert any(message in words for message in messages), done.stdout


def test_truncated(exported: Path) -> None:
    content = (exported / "tiny/mask_decoder.onnx").read_bytes()
    (exported / "cut.onnx").write_bytes(content[: len(content) // 2])
    done = surgeon(exported, "verify", "cut.onnx")
    assert done.returncode == 2
    assert "FAIL   file  not an ONNX model, or cut short; fetch or export it again" in done.stdout
