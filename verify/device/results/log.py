"""Reads the log of a trtexec run: version, GPU, inputs, files written, times, and whether the run passed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = re.compile(r"^\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] \[([VIWEF])\] ?(.*)$")
FIRST = re.compile(r"^&&&& RUNNING TensorRT\.trtexec \[TensorRT v(\d+)\][^#]*# ?(.*)$", re.M)
LAST = re.compile(r"^&&&& (PASSED|FAILED) TensorRT\.trtexec", re.M)
# Messages of severity E that only repeat that something failed.
REPEATS: tuple[str, ...] = (
    "Failed to parse onnx file",
    "Parsing model failed",
    "Failed to create engine",
    "Engine set up failed",
)
REPEATS += ("Engine could not be created", "Building engine failed", "Error[", "[TRT] ModelImporter.cpp", "In node")
DROPPED_TACTIC = re.compile(r"Skipping tactic")
CODE = re.compile(r"Error Code (\d+): ([A-Za-z ]+?) \((.*)\)\s*$", re.S)
ASSERTION = re.compile(r"^\[(\d+)\] (?:Assertion failed: )?(.*)$", re.S)
PARSER = re.compile(
    r"(?:\[TRT\] )?(?:parsers/onnx/)?ModelImporter\.cpp:\d+: (ERROR: .*|While parsing node number .*)", re.S
)


@dataclass(frozen=True)
class Log:
    """The content of one log; a text is empty, and a number None, if the log does not state it.

    passed    whether the last line is PASSED; None without such a line, because trtexec was killed or crashed
    loaded    the file that each input was read from
    random    inputs that were filled with random numbers
    assumed   dynamic inputs whose shape trtexec made up
    raw       the file that each binding was dumped to, with its type and dims: {("output", "y"): ("fp32", "1.4", file)}
    errors    messages of severity E and F, without those that only repeat that something failed
    """

    version: str = ""
    command: str = ""
    gpu: str = ""
    capability: str = ""
    passed: bool | None = None
    loaded: dict[str, str] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    raw: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    build_seconds: float | None = None


def judge_name(tensorrt: str, gpu: str) -> str:
    """`TensorRT 10.9.0 on NVIDIA A10`."""
    return f"TensorRT {tensorrt or 'of unknown version'} on {gpu or 'an unknown GPU'}"


def read_log(path: Path) -> Log | None:
    """The log at `path`; None where there is no such file."""
    try:
        return parse_log(path.read_bytes().decode("utf-8", errors="replace"))
    except OSError:
        return None


def parse_log(text: str) -> Log:
    """The content of a log's text."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    lines = _messages(text)
    said = "\n".join(message for _, message in lines)
    first, last = FIRST.search(text), LAST.findall(text)
    raw = {
        (kind, name): (dtype, dims, file)
        for kind, name, dtype, dims, file in re.findall(
            r"^Writing file for (input|output) binding (.*) "
            r"\(with datatype (\w+) and dimensions ([\d.]*)\) to (.*?)\.?$",
            said,
            re.M,
        )
    }
    seconds = _first(said, r"Engine (?:built|generation completed) in ([\d.]+) sec")
    return Log(
        version=version_text(first[1]) if first else _first(said, r"^TensorRT version: ([\d.]+)"),
        command=first[2] if first else "",
        gpu=_first(said, r"^Selected Device: (.*)$"),
        capability=_first(said, r"^Compute Capability: ([\d.]+)"),
        passed=last[-1] == "PASSED" if last else None,
        loaded={n: f for f, n in re.findall(r"^Using values loaded from (.*) for input (.*)$", said, re.M)},
        random=tuple(re.findall(r"^Using random values for input (.*)$", said, re.M)),
        assumed=tuple(re.findall(r"^Dynamic dimensions required for input: (.*?), but no shapes", said, re.M)),
        raw=raw,
        errors=tuple(_errors(lines)),
        build_seconds=float(seconds) if seconds else None,
    )


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.M)
    return found[1].strip() if found else ""


def version_text(digits: str) -> str:
    """`10.9.0` from 100900, `8.6.1` from 8601: hundreds are minor versions, and the major has 1000 or 10000."""
    number = int(digits)
    unit = 10000 if number >= 100000 else 1000
    return f"{number // unit}.{number % unit // 100}.{number % 100}"


def _messages(text: str) -> list[tuple[str, str]]:
    """Severity and text of each message; lines without a prefix belong to the one before."""
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        match = PREFIX.match(line)
        if match:
            found.append((match[1], match[2]))
        elif found and not line.startswith("&&&&"):
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}")
    return [(severity, message.rstrip()) for severity, message in found]


def _errors(lines: list[tuple[str, str]]) -> list[str]:
    """The reasons of a failure in the order of the log, each in one line."""
    reasons: list[str] = []
    for severity, message in lines:
        if severity not in "EF" or DROPPED_TACTIC.search(message):
            continue
        code, parser = CODE.search(message), PARSER.match(message)
        assertion = ASSERTION.match(message) or (re.search(r"\n\[(\d+)\] (?:Assertion failed: )?(.*)$", message, re.S))
        if code:
            reason = code[3]
        elif assertion:
            reason = assertion[2]
        elif parser and parser[1].startswith("While"):
            reason = ""
        else:
            text = message.removeprefix("[TRT] ")
            reason = "" if text.startswith(REPEATS) or message.startswith(REPEATS) else text
        if "--- Begin node" in message or "--- End node" in message or message.startswith("input: "):
            continue
        reason = " ".join(reason.split())
        if reason and reason not in reasons:
            reasons.append(reason[:400])
    return reasons
