"""`diagnose --log`: what trtexec, nvinfer, onnxruntime, torch_tensorrt and Polygraphy say, at the right node.

The logs in `logs/` are composed by hand in the formats of TensorRT 8.6 to 11.1; no TensorRT wrote them.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from surgery.cli.commands.diagnose import command
from surgery.diagnose.logs import diagnose_log, read_log
from verify.errors import SurgeonError
from verify.report import Report

LOGS = Path(__file__).parent / "logs"
DETECTOR = """
<ir_version: 8, opset_import: ["" : 17, "toy.ops" : 1]>
detector (float[1,3,32,32] images, int64[2] shift, bool c) => (float y, float z)
<float[8,3,3,3] w, int64[2] shape = {1, 9}, int64[1] k = {5000}> {
  [_backbone_Conv] conv = Conv<pads = [1, 1, 1, 1]>(images, w)
  [_backbone_Relu] _backbone_Relu_output_0 = Relu(conv)
  [_norm1_ToyNorm] _norm1_ToyNorm_output_0 = toy.ops.ToyNorm(_backbone_Relu_output_0)
  [_head_Neg] neg = Neg(_norm1_ToyNorm_output_0)
  [_head_Det] _head_Det_output_0 = Det(_backbone_Relu_output_0)
  [_head_TopK] top, at = TopK<axis = 1>(_head_Det_output_0, k)
  [_head_MaxPool] _head_MaxPool_output_0, _head_MaxPool_output_1 = MaxPool<kernel_shape = [2, 2]>(neg)
  [_head_Reshape] _head_Reshape_output_0 = Reshape(_backbone_Relu_output_0, shape)
  [choice] z = If(c) <
    then_branch = t () => (float u) { u = ReduceSum<keepdims = 0>(neg) },
    else_branch = e () => (float v) {
      [_choice_BitShift] _choice_shifted = BitShift<direction = "LEFT">(shift, shift)
      s = Cast<to = 1>(_choice_shifted)
      v = ReduceSum<keepdims = 0>(s)
    }>
  y = ReduceSum<keepdims = 0>(top)
}
"""


@dataclass(frozen=True)
class Expected:
    """What a log holds: its refusals are {(code, path, node)}, its warnings {code}."""

    judge: str
    state: str
    refusals: frozenset[tuple[str, str, str]] = frozenset()
    warnings: frozenset[str] = frozenset()
    producer: str = "trtexec"


def expect(
    judge: str, state: str, *refusals: tuple[str, str, str], warns: str = "", producer: str = "trtexec"
) -> Expected:
    return Expected(judge, state, frozenset(refusals), frozenset(warns.split()), producer)


TOY = ("SG820", "", "/norm1/ToyNorm")
DET = ("SG129", "", "/head/Det")
CASES = {
    "trtexec_8.6_plugin": expect("TensorRT 8.6.1 on Tesla T4", "refused", TOY, warns="SG850 SG851"),
    "trtexec_8.6_builder": expect(
        "TensorRT 8.6.1 on Tesla T4", "refused", ("SG869", "", "/head/Det"), warns="SG852 SG853 SG855 SG856"
    ),
    "trtexec_10.9_three": expect("TensorRT 10.9.0 on NVIDIA A10", "refused", TOY, DET, ("SG126", "", "/head/MaxPool")),
    "trtexec_10.9_passed": expect("TensorRT 10.9.0 on NVIDIA A10", "accepted", warns="SG854 SG858 SG860 SG861"),
    "trtexec_10.13_reshape": expect("TensorRT 10.13.3 on NVIDIA Thor", "refused", ("SG816", "", "/head/Reshape")),
    "trtexec_10.16_topk": expect(
        "TensorRT 10.16.0 on NVIDIA L4", "refused", ("SG800", "", "/head/TopK"), warns="SG864"
    ),
    "trtexec_11.1_branch": expect(
        "TensorRT 11.1.0 on NVIDIA GeForce RTX 5090", "refused", ("SG112", "choice/else_branch", "/choice/BitShift")
    ),
    "nvinfer_8.0_colours_crlf": expect("TensorRT of DeepStream 8.0", "refused", TOY, producer="nvinfer"),
    "nvinfer_9.0_built": expect("TensorRT of DeepStream 9.0", "accepted", warns="SG855", producer="nvinfer"),
    "onnxruntime_10.9_partition": expect("TensorRT", "refused", DET, producer="onnxruntime"),
    "onnxruntime_10.14_engine": expect(
        "TensorRT", "refused", ("SG869", "", "/backbone/Relu"), warns="SG852 SG862", producer="onnxruntime"
    ),
    "torch_tensorrt_10.14": expect(
        "TensorRT 10.14.1",
        "refused",
        ("SG869", "", "[CONVOLUTION]-[aten_ops.convolution.default]-[/features/0/convolution]"),
        warns="SG855",
        producer="torch_tensorrt",
    ),
    "polygraphy_10.16_parse": expect("TensorRT 10.16.0.72", "refused", TOY, producer="Polygraphy"),
    "polygraphy_8.6_builder": expect(
        "TensorRT", "refused", ("SG869", "", "/backbone/Relu"), warns="SG851", producer="Polygraphy"
    ),
    "python_10.9_input": expect("TensorRT", "refused", ("SG801", "", "shift"), producer="Python"),
}


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = onnx.parser.parse_model(DETECTOR)
    for graph in (model.graph, *(attribute.g for attribute in model.graph.node[8].attribute)):
        for node in graph.node:
            node.name = slashed(node.name)
            node.input[:], node.output[:] = map(slashed, node.input), map(slashed, node.output)
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    onnx.save(model, path)
    return path


def slashed(name: str) -> str:
    """`/head/Det_output_0` of `_head_Det_output_0`: ONNX text takes no slash."""
    first, _, rest = name.removeprefix("_").partition("_")
    return f"/{first}/{rest}" if name.startswith("_") else name


def refusals(report: Report) -> set[tuple[str, str, str]]:
    return {(found.code, found.path, found.node) for found in report.findings if found.severity == "error"}


def warnings(report: Report) -> set[str]:
    return {found.code for found in report.findings if found.severity != "error"}


def test_every_log_has_a_case_and_all_producers_and_versions_are_there() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == set(CASES)
    assert len(CASES) >= 12
    assert {case.producer for case in CASES.values()} >= {
        "trtexec",
        "nvinfer",
        "onnxruntime",
        "torch_tensorrt",
        "Polygraphy",
    }


@pytest.mark.parametrize("name", CASES)
def test_log_names_its_judge_places_and_warnings(name: str, detector: Path) -> None:
    log, expected = LOGS / f"{name}.txt", CASES[name]
    report = diagnose_log(log, detector)
    (verdict,) = report.verdicts
    assert verdict.judge == f"{expected.judge}, from the log {log}"
    assert verdict.state == expected.state
    assert refusals(report) == expected.refusals
    assert warnings(report) == expected.warnings
    assert report.checks[0].figures["producer"] == expected.producer
    assert report.exit_code == (1 if expected.state == "refused" else 0)


def test_without_a_model_the_names_are_those_of_the_log() -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt")
    assert refusals(report) == CASES["trtexec_10.9_three"].refusals
    assert all("fixable" not in found.details for found in report.findings)
    (pool,) = [found for found in report.findings if found.op == "MaxPool"]
    assert [port["name"] for port in pool.details["outputs"]] == ["/head/MaxPool_output_0", "/head/MaxPool_output_1"]
    assert pool.details["says"] == "TensorRT does not support the indices output in MaxPool!"


def test_says_what_fix_rewrites(detector: Path) -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", detector)
    fixable = {found.node: found.details["fixable"] for found in report.findings}
    # The indices of the pooling have no reader; a determinant of 32 rows is not written out.
    assert fixable == {"/norm1/ToyNorm": False, "/head/Det": False, "/head/MaxPool": True}


def test_fused_nodes_are_named_at_both_ends(detector: Path) -> None:
    (found,) = [f for f in diagnose_log(LOGS / "trtexec_8.6_builder.txt", detector).findings if f.code == "SG869"]
    assert "in the fused nodes from /backbone/Relu to /head/Det" in found.message
    assert found.details["together_with"] == ["/backbone/Relu"]


def test_places_of_another_model_are_not_invented(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] z)'
        " { a = Relu(x) b = Relu(a) c = Relu(b) d = Relu(c) e = Relu(d) f = Relu(e) z = Relu(f) }"
    )
    onnx.save(model, tmp_path / "other.onnx")
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", tmp_path / "other.onnx")
    assert report.checks[1].status == "skip"
    expected = f"3 places of 3 not in {tmp_path / 'other.onnx'}; the log is about detector.onnx"
    assert report.checks[1].message == expected
    assert not any(found.details["fixable"] for found in report.findings)


def copy_of(name: str, tmp_path: Path, change: object) -> Path:
    target = tmp_path / f"{name}.log"
    target.write_bytes(change((LOGS / f"{name}.txt").read_bytes()))  # type: ignore[operator]
    return target


def interleaved(data: bytes) -> bytes:
    """The log with a line of standard output after each line of standard error."""
    info = b"[06/02/2025-08:00:09] [I] [TRT] Searching for plugin with node domain namespace: \n"
    return b"".join(line + b"\n" + info for line in data.splitlines())


@pytest.mark.parametrize(
    "change",
    [
        gzip.compress,
        interleaved,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"".join(b"2026-11-30T05:50:21.1234567Z " + line for line in data.splitlines(keepends=True)),
        lambda data: b"".join(b"builder-1  | " + line for line in data.splitlines(keepends=True)),
        lambda data: data.replace(b"[E]", b"\x1b[31m[E]\x1b[0m"),
        lambda data: data + b"\xff\xfe\x00 not text",
    ],
    ids=["gz", "interleaved", "crlf", "powershell", "bom", "ci-times", "compose", "colours", "bytes"],
)
def test_other_ways_to_save_a_log(change: object, detector: Path, tmp_path: Path) -> None:
    report = diagnose_log(copy_of("trtexec_10.9_three", tmp_path, change), detector)
    assert refusals(report) == CASES["trtexec_10.9_three"].refusals
    assert report.verdicts[0].judge.startswith("TensorRT 10.9.0 on NVIDIA A10, from the log ")


def test_cut_log_gives_what_it_has_and_no_verdict(detector: Path, tmp_path: Path) -> None:
    cut = copy_of("trtexec_10.9_passed", tmp_path, lambda data: data[: data.index(b"[06/02/2025-09:01:21]")])
    report = diagnose_log(cut, detector)
    assert report.verdicts[0].state == "unknown"
    assert report.checks[0].status == "skip"
    assert report.exit_code == 0
    assert diagnose_log(cut, detector, fail_on="unknown").exit_code == 1


@pytest.mark.parametrize("place", [b"--- End node", b'op_type: "ToyNorm"', b"ModelImporter.cpp:953"])
def test_block_that_is_cut_short_still_names_its_node(place: bytes, detector: Path, tmp_path: Path) -> None:
    cut = copy_of("trtexec_10.9_three", tmp_path, lambda data: data[: data.index(place)])
    report = diagnose_log(cut, detector)
    # The plugin registry has named Det before; the model has one.
    assert {node for _, _, node in refusals(report)} == {"/norm1/ToyNorm", "/head/Det"}
    assert report.verdicts[0].state == "refused"


def test_packed_log_that_is_cut_short(detector: Path, tmp_path: Path) -> None:
    log = copy_of("trtexec_8.6_plugin", tmp_path, lambda data: gzip.compress(data * 50)[:-40])
    assert diagnose_log(log, detector).verdicts[0].judge.startswith("TensorRT 8.6.1")


def test_last_of_several_runs_counts(detector: Path, tmp_path: Path) -> None:
    passed = (LOGS / "trtexec_10.9_passed.txt").read_bytes()
    report = diagnose_log(copy_of("trtexec_10.9_three", tmp_path, lambda data: data + passed), detector)
    assert refusals(report) == set()
    assert report.verdicts[0].state == "accepted"
    assert "1 earlier run in it not looked at" in report.checks[0].message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello\nworld\n", "is no log of TensorRT"),
        (b"ERROR: disk full\nWARNING: low battery\n", "is no log of TensorRT"),
        (b"\x08\x07\x12\x07pytorch:\xff" * 50, "is no log of TensorRT"),
        (gzip.compress(b"hello", mtime=0), "is no log of TensorRT"),
    ],
)
def test_what_is_no_log_is_one_line_and_exit_2(content: bytes, says: str, tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(content)
    with pytest.raises(SurgeonError, match=says) as error:
        read_log(log)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_missing_log() -> None:
    with pytest.raises(SurgeonError, match=r"nothing\.log"):
        read_log(Path("nothing.log"))


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_every_format_has_the_judge_and_the_places(detector: Path, tmp_path: Path) -> None:
    log = LOGS / "trtexec_10.9_three.txt"
    judge = f"TensorRT 10.9.0 on NVIDIA A10, from the log {log}"
    code, text = run(detector, "--log", log, "--html", tmp_path / "page.html")
    assert code == 1
    assert "TensorRT 10.9.0 on NVIDIA A10, from the log" in text
    assert "surgeon fix does it" in text
    page = (tmp_path / "page.html").read_text()
    data = json.loads(run(detector, "--log", log, "--format", "json")[1])
    (report,) = data["reports"]
    assert report["verdicts"][0]["judge"] == judge
    sarif = json.loads(run("--log", log, "--format", "sarif")[1])["runs"][0]
    nodes = {result["locations"][0]["logicalLocations"][0]["name"] for result in sarif["results"][1:]}
    assert nodes == {"/norm1/ToyNorm", "/head/Det", "/head/MaxPool"}
    assert all(name in page for name in (*nodes, judge))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--no-build"], "--build has no effect with --log"),
        (["--against", "optimized"], "--against has no effect with --log"),
        (["--repro", "out"], "--repro has no effect with --log"),
        (["a.onnx", "b.onnx"], "--log is about one model"),
    ],
)
def test_options_that_do_not_go_with_a_log(options: list[str], says: str) -> None:
    with pytest.raises(SurgeonError, match=says):
        run("--log", LOGS / "trtexec_10.9_three.txt", *options)


def test_target_of_the_passes_can_be_chosen(detector: Path) -> None:
    report = diagnose_log(LOGS / "trtexec_10.9_three.txt", detector, target="tensorrt-11")
    assert report.verdicts[0].judge.startswith("TensorRT 10.9.0")


NO_KERNEL = "Error Code 10: Internal Error (Could not find any implementation for node /backbone/Conv.)"
FROM_PYTHON = "[01/14/2024-15:42:26] [TRT]"
EXCERPTS = {
    "docker compose": (
        "web     | [E] [TRT] 10: [optimizer.cpp::compute::3869] " + NO_KERNEL,
        "a logger of TensorRT",
    ),
    "loguru": ("2025-10-16 11:51:21.1 | ERROR | build:run:42 - [TRT] [E] " + NO_KERNEL, "a logger of TensorRT"),
    "another logger": ("[2025-11-01 10:00:01] [ERROR] [TRT] " + NO_KERNEL, "a logger of TensorRT"),
    "TensorRT-LLM": ("[TensorRT-LLM][ERROR] 10: " + NO_KERNEL, "a logger of TensorRT"),
    "logging of Python": ("ERROR:tensorrt:" + NO_KERNEL, "a logger of TensorRT"),
    "Triton": (f'E0612 09:10:13.500001 1 logging.cc:40] "{NO_KERNEL}"', "Triton"),
    "Torch-TensorRT": ("ERROR: [Torch-TensorRT - Debug Build] - 10: " + NO_KERNEL, "torch_tensorrt"),
    "no prefix": (f"{FROM_PYTHON} [I] Init CUDA\n{NO_KERNEL}\n2024-01-14,root ERROR failed", "Python"),
    "what follows is no part": (
        f"{FROM_PYTHON} [E] 10: {NO_KERNEL}\nexport failure 80.0s: (none",
        "Python",
    ),
    "no code": (
        f"{FROM_PYTHON} [E] 10: Could not find any implementation for node /backbone/Conv.\n"
        "Traceback (most recent call last):",
        "Python",
    ),
    "one of several layers": (f"[07/12/2024-02:03:30] [E] {NO_KERNEL.replace('Conv.', 'Convslice.')}", "trtexec"),
}


@pytest.mark.parametrize("name", EXCERPTS)
def test_an_excerpt_as_people_paste_it_has_its_place(name: str, detector: Path, tmp_path: Path) -> None:
    text, producer = EXCERPTS[name]
    log = tmp_path / "pasted.log"
    log.write_text(text + "\n", encoding="utf-8")
    report = diagnose_log(log, detector)
    assert refusals(report) == {("SG869", "", "/backbone/Conv")}
    assert report.checks[0].figures["producer"] == producer
    (found,) = [finding for finding in report.findings if finding.severity == "error"]
    assert found.details["says"].startswith("Could not find any implementation for node /backbone/Conv")
    assert "\n" not in found.details["says"]


def test_lines_of_the_parser_are_a_log_of_tensorrt_without_its_name(detector: Path, tmp_path: Path) -> None:
    log = tmp_path / "pasted.log"
    line = 'ModelImporter.cpp:771: While parsing node number 4 [Det -> "/head/Det_output_0"]:'
    log.write_text(f"[01/01/2024-00:00:01] [E] [TRT] {line}", encoding="utf-8")
    assert refusals(diagnose_log(log, detector)) == {("SG129", "", "/head/Det")}
