"""The messages in a log of TensorRT, whoever wrote it: severity and text, without times, colours and prefixes."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from verify.errors import SurgeonError, no_file

COLOUR = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)|\x1b[()][A-B0-2]")
# What container runtimes and CI services put before every line of a job.
OUTER = re.compile(r"(?:[\w.-]+ +\| )?(?:\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d) (?:std(?:out|err) [FP] )?)?")
TIME = r"\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\]"
PREFIXES = tuple(
    (producer, re.compile(pattern, re.DOTALL))
    for producer, pattern in (
        ("trtexec", rf"{TIME} \[(?P<severity>[VIWEF])\] (?:\[TRT\] )?(?P<text>.*)"),
        ("Python", rf"{TIME} \[TRT\] \[(?P<severity>[VIWEF])\] (?P<text>.*)"),
        (
            "onnxruntime",
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \[(?P<severity>[VIWEF]):onnxruntime:[^\]]*\] "
            r"(?:\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +(?P<inner>[A-Z_]+)\] )?(?P<text>.*)",
        ),
        ("nvinfer", r"(?P<severity>ERROR|WARNING|INFO|DEBUG): \[TRT\]: (?P<text>.*)"),
        ("nvinfer", r"\d+:\d\d:\d\d\.\d+ +\d+ +0x[0-9a-f]+ +(?P<severity>[A-Z]+) +nvinfer +\S+?> (?P<text>.*)"),
        ("nvinfer", r"(?P<severity>ERROR|WARNING|INFO): \S*nvdsinfer_\S* (?P<text>.*)"),
        ("torch_tensorrt", r"(?P<severity>[A-Z]+): ?\[Torch-TensorRT[^\]]*\] - (?P<text>.*)"),
        ("torch_tensorrt", r"(?P<severity>[A-Z]+):torch_tensorrt[^:]*:(?P<text>.*)"),
        ("a logger of TensorRT", r".{0,120}?\[TRT\] ?\[(?P<severity>[VIWEF])\]:? (?P<text>.*)"),
        ("a logger of TensorRT", r".{0,120}?\[(?P<severity>[VIWEF]|[A-Z]{4,})\] ?\[TRT\]:? (?P<text>.*)"),
        ("a logger of TensorRT", r"\[TensorRT[^\]]*\] ?\[?(?P<severity>[A-Z]{4,})\]?:? (?P<text>.*)"),
        ("a logger of TensorRT", r"(?P<severity>[A-Z]{4,}):(?:TRT|tensorrt)[\w.]*:(?P<text>.*)"),
        ("Triton", r"(?P<severity>[IWEF])\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] \"?(?P<text>.*?)\"?$"),
        ("Polygraphy", r"\[(?P<severity>[XUVIWSE!])\] (?P<text>.*)"),
        ("", r"(?P<severity>ERROR|WARNING|INFO): (?P<text>.*)"),
        ("", r"(?=(?P<severity>E)rror Code \d+: )(?P<text>.*)"),
        ("", r"(?P<severity>)(?P<text>(?:&&&& |NvDsInfer Error|Segmentation fault|Traceback |\*+ ?EP Error).*)"),
    )
)
SEVERITIES = {"V": "verbose", "I": "info", "W": "warning", "E": "error", "F": "error", "!": "error", "X": "verbose"}
SEVERITIES |= {"WARN": "warning", "WARNING": "warning", "ERROR": "error", "CRITICAL": "error", "BUG": "error"}
SEVERITIES |= {"INTERNAL_ERROR": "error", "DEBUG": "verbose", "VERBOSE": "verbose"}
# Lines without a prefix that go on with an error although other messages may stand in between.
OF_AN_ERROR = re.compile(r'\s*(?:(?:input|output|name|op_type|domain|attribute)(?:: "| \{)|\[\d+\] |Node name: )')
LONGEST = 20_000  # characters of a message that are kept


@dataclass
class Message:
    """One message of a log.

    line      where it starts, from 1
    severity  "error", "warning", "info" or "verbose"
    producer  whose prefix it has; "" where the prefix fits several
    text      without prefix; further lines of the message included
    """

    line: int
    severity: str
    producer: str
    text: str


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a log, also one that gzip packed or PowerShell wrote, without colours and line ends.

    A packed log that is cut short gives the lines before the cut.

    Raises:
        SurgeonError: there is no such file, it cannot be read, or it is empty.
    """
    if not path.is_file():
        raise no_file(path)
    if not path.stat().st_size:
        raise SurgeonError(f"{path}: is empty; save what the tool printed, both streams: ... 2>&1 | tee {path.name}")
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            stream = io.TextIOWrapper(_unpacked(raw, head), encoding=_encoding(head), errors="replace", newline=None)
            for line in stream:
                yield COLOUR.sub("", line.rstrip("\n"))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise SurgeonError(f"{path}: {error.strerror or error}") from None


def _unpacked(raw: io.BufferedReader, head: bytes) -> io.BufferedReader:
    return gzip.GzipFile(fileobj=raw) if head[:2] == b"\x1f\x8b" else raw  # type: ignore[return-value]


def _encoding(head: bytes) -> str:
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """The messages that lines make up. A line without a prefix goes on with the message before it."""
    current: Message | None = None
    last_error: Message | None = None
    for number, line in enumerate(lines, 1):
        found = _prefixed(number, line)
        if found is not None:
            if current is not None and current is not last_error:
                yield current
            current = found
            if found.severity == "error":
                if last_error is not None:
                    yield last_error
                last_error = found
            continue
        belongs = last_error if last_error is not None and OF_AN_ERROR.match(line) else current
        if belongs is None:
            yield Message(number, "info", "", line)
        elif len(belongs.text) < LONGEST:
            belongs.text += f"\n{line}"
    if last_error is not None:
        yield last_error
    if current is not None and current is not last_error:
        yield current


def _prefixed(number: int, line: str) -> Message | None:
    """The message that a line begins, None where it begins none."""
    outer = OUTER.match(line)
    line = line[outer.end() :] if outer else line
    for producer, pattern in PREFIXES:
        match = pattern.match(line)
        if match:
            fields = match.groupdict()
            level = fields.get("inner") or fields["severity"]
            return Message(number, SEVERITIES.get(level, "info"), producer, fields["text"])
    return None
