"""`verify --backend tensorrt`: full TensorRT on a GPU, with a stand-in for its module that keeps what it was asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.verify.cli_models import TEXT, TWO_SUMS, decoder, write
from verify.tensorrt import process

Surgeon = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("own_folder")

MODULE = """
import json
from types import SimpleNamespace
__version__ = "VERSION"
asked = []
def keep(*what):
    asked.append(what)
    open("asked.json", "w").write(json.dumps(asked))
class ILogger:
    def __init__(self): pass
class NetworkDefinitionCreationFlag: STRONGLY_TYPED = 1
class BuilderFlag: FP16 = "FP16"
class MemoryPoolType: WORKSPACE = "WORKSPACE"
def init_libnvinfer_plugins(logger, namespace): keep("plugins", namespace)
class Config:
    def set_flag(self, flag): keep("flag", flag)
    def set_memory_pool_limit(self, pool, size): keep("pool", pool, size)
    def add_optimization_profile(self, profile): pass
    def __setattr__(self, name, value): keep(name, value)
class Profile:
    def set_shape(self, name, *points): return True
    def set_shape_input(self, name, *points): return True
class Network:
    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))
    def get_input(self, index): return self.inputs[index]
    def get_output(self, index): return self.outputs[index]
def port(value):
    import onnx
    kind = value.type.tensor_type
    name = onnx.TensorProto.DataType.Name(kind.elem_type)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
    dtype = SimpleNamespace(name={"FLOAT16": "HALF"}.get(name, name))
    return SimpleNamespace(name=value.name, dtype=dtype, shape=shape, is_shape_tensor=False)
class Builder:
    def __new__(cls, logger): return GPU
    def __init__(self, logger): pass
class Real:
    def create_network(self, flags):
        keep("network", flags)
        return Network()
    def create_builder_config(self): return Config()
    def create_optimization_profile(self): return Profile()
    def build_serialized_network(self, network, config): return memoryview(b"engine")
class OnnxParser:
    num_errors = 0
    def __init__(self, network, logger): self.network = network
    def parse_from_file(self, path):
        import onnx
        graph = onnx.load(path, load_external_data=False).graph
        self.network.inputs, self.network.outputs = list(map(port, graph.input)), list(map(port, graph.output))
        return True
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a module `tensorrt` of a version on the path; without a GPU its Builder gives None, as the real one does."""
    folder = tmp_path / "site"

    def make(version: str, gpu: bool = True) -> None:
        folder.mkdir()
        text = MODULE.replace("VERSION", version).replace("return GPU", "return Real()" if gpu else "return None")
        (folder / "tensorrt.py").write_text(text)
        data = folder / f"tensorrt-{version}.dist-info"
        data.mkdir()
        (data / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tensorrt\nVersion: {version}\n")
        smi = folder / "nvidia-smi"
        smi.write_text("#!/bin/sh\necho 'NVIDIA A10, 8.6'\n")
        smi.chmod(0o755)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    yield make
    process._end()


def asked() -> list[Any]:
    found: list[Any] = json.loads(Path("asked.json").read_text())
    return found


def test_deepstreams_settings_on_10(surgeon: Surgeon, install: Callable[..., None]) -> None:
    install("10.9.0.34")
    code, out, err = surgeon("verify", decoder(), "--backend", "tensorrt", "--no-cache", "--format", "json")
    assert code == 0, out + err
    (report,) = json.loads(out)["reports"]
    assert report["verdicts"][0]["judge"] == "TensorRT 10.9.0.34 (built here)"
    assert report["verdicts"][0]["state"] == "accepted"
    calls = asked()
    assert ["plugins", ""] in calls
    assert ["network", 0] in calls
    assert ["flag", "FP16"] in calls
    assert ["pool", "WORKSPACE", 5000 << 20] in calls
    assert "SURGEON_TENSORRT" not in os.environ


def test_strongly_typed_on_11(surgeon: Surgeon, install: Callable[..., None]) -> None:
    install("11.0.0.1")
    code, _, _ = surgeon("verify", decoder(), "--backend", "tensorrt", "--no-cache")
    assert code == 0
    assert ["network", 2] in asked()
    assert ["flag", "FP16"] not in asked()


def test_file_with_half_precision_is_strongly_typed_on_10(surgeon: Surgeon, install: Callable[..., None]) -> None:
    install("10.14.1")
    path = write(Path("half.onnx"), "m (float[2] x) => (float16[2] y) { y = Cast <to = 10> (x) }")
    assert surgeon("verify", path, "--backend", "tensorrt", "--no-cache")[0] == 0
    assert ["network", 2] in asked()
    assert ["flag", "FP16"] not in asked()


def test_verdict_is_kept_in_the_same_file(surgeon: Surgeon, good: Path, install: Callable[..., None]) -> None:
    install("10.9.0.34")
    code, _, err = surgeon("verify", good, "--backend", "tensorrt", "--keep")
    assert code == 0, err
    code, out, _ = surgeon("verify", good, "--backend", "none", "--format", "json")
    assert code == 0
    (verdict,) = json.loads(out)["reports"][0]["verdicts"]
    assert verdict["judge"] == "TensorRT 10.9.0.34 on NVIDIA A10"
    assert verdict["message"] == "built it today from this very file in fp32 with TF32; outputs were not compared"
    model = onnx.load(good)
    model.doc_string = "changed"
    onnx.save(model, good)
    _, out, _ = surgeon("verify", good, "--backend", "none", "--format", "json")
    assert json.loads(out)["reports"][0]["verdicts"][0]["state"] == "unknown"


def test_what_this_version_computes_wrongly_fails(surgeon: Surgeon, install: Callable[..., None]) -> None:
    install("10.14.1.48")
    path = write(Path("net.onnx"), TWO_SUMS)
    code, out, err = surgeon("verify", path, "--backend", "tensorrt", "--format", "json")
    assert code == 1, out + err
    (report,) = json.loads(out)["reports"]
    failed = {check["name"]: check["message"] for check in report["checks"] if check["status"] == "fail"}
    command = "surgeon diagnose net.onnx --target tensorrt-10.14"
    assert failed["silent faults"] == f"TensorRT 10.14 computes 2 places wrongly: {command}"
    assert {(finding["code"], finding["severity"]) for finding in report["findings"]} == {("SG180", "error")}


def test_without_a_gpu_it_is_exit_4_and_one_line(surgeon: Surgeon, install: Callable[..., None]) -> None:
    install("10.9.0.34", gpu=False)
    code, _, err = surgeon("verify", write(Path("net.onnx"), TEXT), "--backend", "tensorrt", "--format", "json")
    assert (code, len(err.splitlines())) == (4, 1)
    assert "tensorrt 10.9.0.34 is installed but cannot run here" in err


def test_two_ways_to_choose_are_an_error(surgeon: Surgeon) -> None:
    code, _, err = surgeon("verify", write(Path("net.onnx"), TEXT), "--backend", "none", "--trt")
    assert code == 2
    assert "either --backend or --trt" in err
