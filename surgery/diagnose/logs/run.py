"""What a log says of the run as a whole: who wrote it, the version, the GPU, the model, and how it ended."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from surgery.diagnose.logs.lines import Message

Ending = Literal["passed", "failed", "cut"]

MARKS = (
    ("trtexec", re.compile(r"&&&& \w+ TensorRT\.trtexec")),
    ("Polygraphy", re.compile(r"(?:RUNNING|PASSED|FAILED) \| (?:Runtime|Command)|Could not parse ONNX correctly")),
    ("nvinfer", re.compile(r"NvDsInfer|gst_nvinfer|nvdsinfer_")),
)
# Producers whose prefix nothing else writes.
OF_TENSORRT = ("Python", "a logger of TensorRT", "nvinfer", "torch_tensorrt")
SUBJECT = re.compile(
    r"TensorRT|TRT|onnx|polygraphy|nvinfer|ModelImporter|While parsing node number|Error Code \d+: |::\w+::\d+\]", re.I
)
RUNNING = re.compile(r"&&&& RUNNING TensorRT\S* \[TensorRT[^\]]* v(\d+)\](?: \[b(\d+)\])? # (.*)")
ENDED = re.compile(r"&&&& (PASSED|FAILED) |^(PASSED|FAILED) \| Runtime")
FIELDS = {
    "gpu": re.compile(r"^Selected Device: (.+?)\s*$"),
    "capability": re.compile(r"^Compute Capability: (\d+\.\d+)"),
    "model": re.compile(r"^(?:Input filename:|Model:) +(\S.*?)\s*$"),
    "precision": re.compile(r"^Precision: (.+?)\s*$"),
    "command": re.compile(r"^RUNNING \| Command: (.+?)\s*$"),
    "release": re.compile(r"(?:/opt/nvidia/deepstream/deepstream-|deepstream-app version )(\d+\.\d+)"),
}
VERSIONS = (
    re.compile(r"^TensorRT [Vv]ersion: *v?(\d+\.\d+(?:\.\d+)*)"),
    re.compile(r"Loaded Module: tensorrt\s*\| Version: (\d+\.\d+(?:\.\d+)*)"),
    re.compile(r"\bTensorRT(?:-| |_v?|: ?| version:? ?)v?(\d+\.\d+\.\d+(?:\.\d+)*)", re.I),
)
BUILT = re.compile(r"serialize cuda engine to file: .* successfully|^Engine generation completed in ")
FAILED = re.compile(
    r"^Engine set up failed|[Ff]ailed to build (?:trt engine|network)|NVDSINFER_\w+_FAILED|Invalid Engine\. Please"
    r"|Could not parse ONNX correctly|TensorRT EP failed to create engine|Falling back to \['(?!Tensorrt)"
    r"|^Building serialized network failed|Segmentation fault"
)


@dataclass
class Run:
    """One run of a tool on one model.

    producer    "trtexec", "nvinfer", "onnxruntime", "torch_tensorrt", "Polygraphy", "Python" (its TensorRT logger)
    version     of TensorRT, "10.9.0"; "" where the log does not say
    gpu         name of the GPU, "" where the log does not say; capability: "8.6"
    model       file that was parsed; precision, command: as the tool echoed them
    release     of DeepStream
    ending      "cut" where the log stops before the tool says how it went
    lines       how many lines the log has; runs: how many runs, of which this is the last
    errors, warnings   messages, oldest first
    """

    producer: str = ""
    version: str = ""
    gpu: str = ""
    capability: str = ""
    model: str = ""
    precision: str = ""
    command: str = ""
    release: str = ""
    ending: Ending = "cut"
    lines: int = 0
    runs: int = 1
    errors: list[Message] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)

    @property
    def target(self) -> tuple[int, ...]:
        """Major and minor version of TensorRT, () where the log does not say."""
        return tuple(int(part) for part in self.version.split(".")[:2] if part)


class RunReader:
    """Takes the messages of a log one by one and keeps what matters of the last run in it."""

    def __init__(self) -> None:
        self.run = Run()
        self.producers: Counter[str] = Counter()
        self.marked = ""
        self.about_tensorrt = False

    def take(self, message: Message, warns: bool) -> None:
        """Read one message; `warns` says that it counts as a warning whatever its severity."""
        text = message.text
        started = RUNNING.match(text)
        if started:
            runs = self.run.runs + 1 if self.run.command else 1
            self.run = Run(version=version_of(started[1]), command=started[3], runs=runs)
        self.producers[message.producer] += 1
        self.about_tensorrt = self.about_tensorrt or message.producer in OF_TENSORRT or bool(SUBJECT.search(text))
        self.marked = self.marked or next((name for name, pattern in MARKS if pattern.search(text)), "")
        self._field(text)
        self._ending(text)
        run = self.run
        run.lines = max(run.lines, message.line + text.count("\n"))
        if warns:
            run.warnings.append(message)
        elif message.severity == "error":
            run.errors.append(message)

    def _field(self, text: str) -> None:
        for name, pattern in FIELDS.items():
            found = pattern.search(text)
            if found and not getattr(self.run, name):
                setattr(self.run, name, found[1])
        if not self.run.version:
            self.run.version = next((found[1] for pattern in VERSIONS if (found := pattern.search(text))), "")

    def _ending(self, text: str) -> None:
        ended = ENDED.search(text)
        if ended:
            self.run.ending = "passed" if "PASSED" in (ended[1], ended[2]) else "failed"
        elif FAILED.search(text):
            self.run.ending = "failed"
        elif BUILT.search(text) and self.run.ending == "cut" and self.marked != "trtexec":
            self.run.ending = "passed"

    def finished(self) -> Run | None:
        """The last run of the log; None where no line of it is one of the tools that are known here."""
        own = {name: count for name, count in self.producers.items() if name}
        if not (own or self.marked) or not self.about_tensorrt:
            return None
        for found in (self.run.errors, self.run.warnings):
            found.sort(key=lambda message: message.line)
        most = max(own, key=lambda name: own[name]) if own else ""
        specific = [name for name in ("onnxruntime", "torch_tensorrt", "nvinfer") if own.get(name)]
        self.run.producer = self.marked or (specific[0] if specific else most)
        return self.run


def version_of(digits: str) -> str:
    """ "10.9.0" of trtexec's 100900, "8.6.1" of 8601: TensorRT counts differently from version 10 on; "" of less."""
    number = int(digits)
    if number < 5000:  # TensorRT-RTX, which counts its own versions
        return ""
    if number >= 100000:
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"
