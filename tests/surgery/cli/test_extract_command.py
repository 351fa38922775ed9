"""`surgeon extract`: names on the command line, JSON, hostile files, and a file of several gigabytes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.surgery.cli.hostile_models import HEAD, hostile
from tests.surgery.cli.test_diagnose_hostile import said, surgeon

CASES = list(hostile())
CHAIN = HEAD + "g (float[2] x) => (float[2] y) { a = Neg(x)  b = Exp(a)  c = Abs(b)  y = Add(c, b) }"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(CHAIN), "m.onnx")
    return tmp_path


@pytest.mark.parametrize("names", [["--inputs", "b,c"], ["--inputs", "b", "--inputs", "c"], ["--inputs", " b , c "]])
def test_names_may_be_given_in_one_option_or_in_several(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("extract", "m.onnx", *names, monkeypatch=monkeypatch) == 0
    assert "m.part.onnx\n  pass   extract  1 of 4 nodes of m.onnx: from b float32[2], c float32[2]" in said(capfd)
    assert [node.op_type for node in onnx.load("m.part.onnx").graph.node] == ["Add"]


def test_json(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["m.onnx", "--outputs", "b", "-o", "sub.onnx", "--format", "json"]
    assert surgeon("extract", *arguments, monkeypatch=monkeypatch) == 0
    (report,) = json.loads(said(capfd))["reports"]
    assert [(check["name"], check["status"]) for check in report["checks"]] == [("extract", "pass"), ("parity", "pass")]
    assert report["checks"][0]["figures"] == {"nodes": 2, "nodes_of_the_whole": 4, "inputs": ["x"], "outputs": ["b"]}


def test_report_is_on_standard_output(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert surgeon("extract", "m.onnx", "--outputs", "a, ,", monkeypatch=monkeypatch) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[0] == "m.part.onnx"
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.onnx"], "say where the part begins or ends with --inputs NAME or --outputs NAME"),
        (["nothing.onnx", "--inputs", "a"], "nothing.onnx: no such file"),
        (["m.onnx", "--inputs", "a", "-o", "m.onnx"], "m.onnx: is the model itself; choose another output"),
        (["m.onnx", "--inputs", "a", "-o", "m.onnx/x"], "m.onnx/x: cannot be written"),
        (["m.onnx", "--inputs", "a", "--check-inputs", "none.npz"], "none.npz: "),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("extract", *arguments, monkeypatch=monkeypatch) == 2
    (line,) = said(capfd).splitlines()
    assert line.startswith(f"surgeon: {message}")
    assert [path.name for path in Path().iterdir()] == ["m.onnx"]


@pytest.mark.parametrize(("name", "data", "codes"), CASES, ids=[name for name, _, _ in CASES])
def test_hostile_file(
    name: str, data: bytes, codes: set[int], here: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (here / "model.onnx").write_bytes(data)
    (here / "data.bin").write_bytes(bytes(8))
    code = surgeon("extract", "model.onnx", "--outputs", "y", "-o", "part.onnx", monkeypatch=monkeypatch)
    text = said(capfd)
    assert code in (codes if codes == {2} else {0, 1, 2}), text
    assert text.strip()
    assert code == 0 or not Path("part.onnx").exists()
    assert not list(Path().glob("*.tmp"))


def test_file_of_several_gigabytes_is_not_loaded_for_a_part_without_its_weights(here: Path) -> None:
    size = 3 << 30
    heavy = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size // 4], data_location=TensorProto.EXTERNAL)
    heavy.external_data.add(key="location", value="w.data")
    with Path("w.data").open("wb") as stream:
        stream.truncate(size)
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["b"])]
    nodes.append(helper.make_node("Add", ["b", "w"], ["y"]))
    ends = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [size // 4])]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends), ir_version=10)
    model.graph.initializer.append(heavy)
    Path("large.onnx").write_bytes(model.SerializeToString())
    limit = 2 << 30
    done = subprocess.run(
        [sys.executable, "-m", "surgery", "extract", "large.onnx", "--inputs", "a", "--outputs", "b"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "equal bit for bit to the whole" in done.stdout
