"""The logs in `logs/`, in the formats of TensorRT 8.6 to 11.1 but written by hand, and what is in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verify.report import Report

LOGS = Path(__file__).parent / "logs"


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
        "TensorRT 10.16.0 on NVIDIA L4", "refused", ("SG148", "", "/head/TopK"), warns="SG864"
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


def refusals(report: Report) -> set[tuple[str, str, str]]:
    return {(found.code, found.path, found.node) for found in report.findings if found.severity == "error"}


def warnings(report: Report) -> set[str]:
    return {found.code for found in report.findings if found.severity != "error"}
