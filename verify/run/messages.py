"""Error messages of runtimes, without status codes, C++ source locations and paths of temporary files."""

from __future__ import annotations

import re

ONNXRUNTIME = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
NO_OPERATOR = re.compile(
    r"^(?P<domain>[\w.]*):(?P<op>\w+)\(-?\d+\) is not a registered function/op"
    r"|^Node type '(?P<op2>\w+)' from domain '(?P<domain2>[^']*)' is unknown"
    r"|Error No Op registered for (?P<op3>\w+) with domain_version of"
    r"|^No registered schema for operator '(?P<op4>\w+)' and domain '(?P<domain4>[^']*)'"
)
NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\((\d+)\) node with name '[^']*'")
AT_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: ")
NOISE = (
    ONNXRUNTIME,
    re.compile(r"Load model from .*? failed:\s*"),
    re.compile(r"^Fatal error: "),
    re.compile(r"This is an invalid model\. (?:Error: )?"),
    re.compile(r"\S*\.(?:cc|cpp|h|hpp):\d+ (?:[\w:~<>*&, ]+\((?:[^()]|\([^()]*\))*\)(?:::<[^>]*>[^ ]*)?(?: const)? )?"),
    re.compile(r"(?:(?<=: )|^)[^.:]*? was false\. "),
)
WITHOUT_KIND = (NotImplementedError, RuntimeError)  # exceptions whose class name says nothing that the message does not


def one_line(error: BaseException, width: int = 300) -> str:
    """The message of an exception on one line of at most `width` characters, with its kind if that adds something."""
    text = " ".join(str(error).split())
    known = bool(ONNXRUNTIME.search(text)) or type(error) in WITHOUT_KIND
    for noise in NOISE if known else ():
        text = noise.sub("", text)
    text = AT_NODE.sub(lambda found: f"{found[1]} '{found[2]}': " if found[2] else f"{found[1]}: ", text)
    for noise in NOISE if known else ():
        text = noise.sub("", text)
    text = NO_KERNEL.sub(r"no implementation of \1 of opset \2", text)
    if missing := NO_OPERATOR.search(text) if known else None:
        found = missing.groupdict()
        domain = found["domain"] or found["domain2"] or found["domain4"] or ""
        op = found["op"] or found["op2"] or found["op3"] or found["op4"]
        text = f"no operator {domain}{'::' if domain else ''}{op}"
    return (text if known and text else f"{type(error).__name__}: {text}")[:width]
