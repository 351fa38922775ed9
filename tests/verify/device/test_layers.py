"""`surgeon compile --layers`: an engine of another machine, read from the files that trtexec wrote there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser

from verify.device.results.layers import by_node, read_engine
from verify.errors import SurgeonError

Surgeon = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("own_folder")

TEXT = """<ir_version: 8, opset_import: ["" : 18]> toy (float[1,3,8,8] x) => (float[1,3,1,1] y)
{ c = Relu(x) r = Tanh(c) s = Neg(r) y = GlobalAveragePool(s) }"""
NAMES = ("/enc/conv1/Conv", "/enc/relu1/Relu", "/head/Neg", "/head/ReduceMean")
COPY = "Reformatting CopyNode for Input Tensor 0 to /enc/conv1/Conv + /enc/relu1/Relu"
FUSED = "/enc/conv1/Conv + /enc/relu1/Relu"
KERNEL = "__myl_Mean_myl0_0"


@pytest.fixture
def model() -> Path:
    proto = parser.parse_model(TEXT)
    for node, name in zip(proto.graph.node, NAMES, strict=True):
        node.name = name
    onnx.save(proto, "toy.onnx")
    return Path("toy.onnx")


def layer(name: str, kind: str, dtype: str, metadata: str = "") -> dict[str, Any]:
    outputs = [{"Name": "t", "Dimensions": [1], "Format/Datatype": dtype}]
    return {"Name": name, "LayerType": kind, "Inputs": [], "Outputs": outputs, "Metadata": metadata}


LAYERS = [
    layer(COPY, "Reformat", "Channel major FP32 format where channel % 4 == 0"),
    layer(
        FUSED,
        "CaskConvolution",
        "Row major linear FP16 format",
        f"[ONNX Layer: {NAMES[0]}]\x1e[ONNX Layer: {NAMES[1]}]",
    ),
    layer(KERNEL, "kgen", "Half", f"[ONNX Layer: {NAMES[2]}]\x1f[ONNX Layer: {NAMES[3]}]"),
]
PROFILE = """[
  { "count" : 8 }
, { "name" : "%s", "timeMs" : 0.0496, "averageMs" : 0.0062, "medianMs" : 0.006144, "percentage" : nan }
, { "name" : "%s", "timeMs" : 0.164, "averageMs" : 0.0205, "medianMs" : 0.02048, "percentage" : 57.5843 }
, { "name" : "%s", "timeMs" : 0.0712, "averageMs" : 0.0089, "percentage" : 25 }
]
""" % (COPY, FUSED, KERNEL)  # noqa: UP031
TIMES = '[\n  { "computeMs" : 0.041, "latencyMs" : 0.0513 }\n, { "computeMs" : 0.043, "latencyMs" : 0.0533 }\n]\n'


def write(root: Any = None, profile: str = PROFILE, raw: bool = False) -> Path:
    text = json.dumps({"Layers": LAYERS, "Bindings": ["x", "y"]} if root is None else root)
    if raw:  # 8.6 does not escape the characters between names
        text = text.replace("\\u001e", "\x1e").replace("\\u001f", "\x1f")
    Path("layers.json").write_text(text, encoding="utf-8")
    Path("profile.json").write_text(profile, encoding="utf-8")
    Path("times.json").write_text(TIMES, encoding="utf-8")
    return Path("layers.json")


@pytest.mark.parametrize("raw", [False, True], ids=["10.9", "8.6"])
def test_layers_are_mapped_by_metadata(surgeon: Surgeon, model: Path, raw: bool) -> None:
    write(raw=raw)
    files = ["--layers", "layers.json", "--profile", "profile.json", "--times", "times.json"]
    code, out, _ = surgeon("compile", model, *files, "--format", "json")
    assert code == 0
    assert out.startswith('{\n  "engines": [\n')
    (engine,) = json.loads(out)["engines"]
    assert engine["slowest"] == [FUSED, KERNEL, COPY]
    assert engine["unmapped"] == [COPY]
    assert engine["by_node"] == pytest.approx(
        {NAMES[0]: 0.01025, NAMES[1]: 0.01025, NAMES[2]: 0.00445, NAMES[3]: 0.00445}
    )
    assert engine["by_module"] == pytest.approx({"enc.conv1": 0.01025, "enc.relu1": 0.01025, "head": 0.0089})
    assert [row["precision"] for row in engine["layers"]] == ["float32", "float16", "float16"]
    assert engine["times"]["compute_median"] == pytest.approx(0.042)
    assert engine["unnamed_nodes"] == 0


def test_text_shows_slowest_precision_and_what_is_not_mapped(surgeon: Surgeon, model: Path) -> None:
    write()
    code, out, _ = surgeon("compile", model, "--layers", ".")
    assert code == 0
    assert "writes float16" in out
    assert "layers without ONNX node     │ 1, 17.4% of the time" in out
    assert "slowest by torch module" in out
    assert "the time of a layer is divided equally among its nodes" in out


def test_names_are_shown_whole_also_where_they_have_brackets(
    surgeon: Surgeon, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "[CONVOLUTION]-[aten_ops.convolution.default]-[/features/0/convolution] [profile 1]"
    root = {"Layers": [*LAYERS[:2], layer(name, "kgen", "Half")], "Bindings": ["x", "y"]}
    write(root, PROFILE.replace(KERNEL, name))
    code, out, _ = surgeon("compile", model, "--layers", ".")
    assert code == 0
    rows = [line.split("│") for line in out.splitlines()]
    column = "".join(row[1].strip() for row in rows if len(row) == 8)
    assert name.replace(" ", "") in column.replace(" ", "")
    assert "…" not in out


def test_two_runs_side_by_side(surgeon: Surgeon, model: Path) -> None:
    write()
    other = Path("other")
    other.mkdir()
    for name in ("layers.json", "times.json"):
        (other / name).write_text(Path(name).read_text(encoding="utf-8"), encoding="utf-8")
    (other / "profile.json").write_text(PROFILE.replace('"averageMs" : 0.0089', '"averageMs" : 0.1089'))
    code, out, _ = surgeon("compile", model, "--layers", ".", "--vs", other)
    assert code == 0
    assert "largest changes by ONNX node" in out
    assert "+0.05" in out


@pytest.mark.parametrize(
    ("name", "nodes", "how"),
    [
        (FUSED, NAMES[:2], "name"),
        (f"PWN({NAMES[2]}, {NAMES[3]}) [profile 1]", NAMES[2:], "name"),
        (f"{{ForeignNode[{NAMES[1]}...{NAMES[3]}]}}", NAMES[1:], "between"),
        (COPY, (), ""),
        ("(Unnamed Layer* 3) [Shuffle]", (), ""),
        ("/head/Neg_myl9_2", (), ""),
        ("ONNXTRT_Broadcast_12", (), ""),
    ],
)
def test_names_without_metadata(model: Path, name: str, nodes: tuple[str, ...], how: str) -> None:
    known = layer("k", "kgen", "Float", f"[ONNX Layer: {NAMES[0]}]")
    found = read_engine(onnx.load(model), write([layer(name, "Myelin", "Float"), known]))
    assert (found.layers[0].nodes, found.layers[0].how) == (nodes, how)


def test_layers_of_the_same_name_take_their_times_in_order(model: Path) -> None:
    profile = PROFILE.replace(KERNEL, FUSED)
    write([LAYERS[1], LAYERS[1]], profile)
    found = read_engine(onnx.load(model), Path("layers.json"), Path("profile.json"))
    assert [row.milliseconds for row in found.layers] == [0.0205, 0.0089]
    assert found.unmatched == 1
    assert by_node(found)[NAMES[0]] == pytest.approx((0.0205 + 0.0089) / 2)


def test_names_only_are_said_to_be_that(surgeon: Surgeon, model: Path) -> None:
    write({"Layers": [FUSED, KERNEL]})
    code, out, _ = surgeon("compile", model, "--layers", "layers.json")
    assert code == 0
    assert "built without --profilingVerbosity=detailed" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not the JSON that trtexec --exportLayerInfo writes, or cut short"),
        (json.dumps({"Layers": LAYERS})[:-20], "not the JSON that trtexec --exportLayerInfo writes, or cut short"),
        ('{"Layers": []}', "lists no layer; build the engine with trtexec --profilingVerbosity=detailed"),
        ('{"reports": 1}', "has no list of layers"),
        (json.dumps([layer("k", "kgen", "Float", "[ONNX Layer: elsewhere]")]), "of another model: it names elsewhere"),
    ],
)
def test_unusable_layers_are_refused(model: Path, content: str, says: str) -> None:
    Path("layers.json").write_text(content, encoding="utf-8")
    with pytest.raises(SurgeonError, match=says):
        read_engine(onnx.load(model), Path("layers.json"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--profile", "profile.json"], "--profile and --times belong to --layers"),
        (["--layers", "layers.json", "-o", "m.plan"], "-o belongs to a build"),
        (["--layers", "layers.json", "--html", "p.html"], "--html belongs to a build"),
        (["--layers", "layers.json", "--input-shape", "x:1x3x8x8"], "--input-shape belongs to a build"),
        (["--layers", "layers.json", "--min-shape", "x:1x3x8x8"], "--min-shape belongs to a build"),
        (["--layers", "layers.json", "--max-shape", "x:1x3x8x8"], "--max-shape belongs to a build"),
        (["--layers", "layers.json", "--size", "n=1"], "--size belongs to a build"),
        (["--times", "times.json"], "--profile and --times belong to --layers"),
        (["--layers", "none.json"], "none.json: No such file"),
        (["--layers", "layers.json", "--profile", "cut.json"], "not what trtexec --exportProfile writes, or cut short"),
        (["--layers", "layers.json", "--times", "cut.json"], "not what trtexec --exportTimes writes, or cut short"),
    ],
)
def test_wrong_options_are_one_line(surgeon: Surgeon, model: Path, options: list[str], says: str) -> None:
    write()
    Path("cut.json").write_text(PROFILE[:-40])
    code, _, err = surgeon("compile", model, *options)
    assert (code, len(err.splitlines())) == (2, 1)
    assert says in err


def test_files_of_a_device_run_are_read_with_their_judge(surgeon: Surgeon, good: Path, run_script: Any) -> None:
    assert surgeon("golden", "trtexec", good, "-o", "device")[0] == 0
    assert run_script(Path("device").absolute(), "10.9").returncode == 0
    code, out, _ = surgeon("compile", good, "--layers", "device/net/case1", "--format", "json")
    assert code == 0
    (engine,) = json.loads(out)["engines"]
    assert engine["judge"] == "TensorRT 10.9.0 on NVIDIA A10"
    assert (len(engine["layers"]), engine["unmapped"]) == (2, [])
