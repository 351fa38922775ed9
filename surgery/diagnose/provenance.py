"""Where a node comes from: the torch source line and module that torch's exporters record in its metadata or name."""

from __future__ import annotations

import ast
import re

import onnx

# What torch.onnx (the dynamo exporter) writes into NodeProto.metadata_props.
STACK = "pkg.torch.onnx.stack_trace"
SCOPES = "pkg.torch.onnx.name_scopes"
CLASSES = "pkg.torch.onnx.class_hierarchy"
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
LIBRARIES = ("/torch/", "\\torch\\", "<eval_with_key>")


def source_of(node: onnx.NodeProto) -> str:
    """Torch source line and module of a node, "" where the exporter left neither.

    The current exporter leaves a stack trace and the modules' names and classes as metadata; the old one leaves the
    modules' path as the node's name: "/encoder/blocks.0/norm1/LayerNormalization".
    """
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    parts = [_line(metadata.get(STACK, "")), _module(metadata), _replaced(metadata)]
    if not any(parts) and node.name.startswith("/") and node.name.count("/") > 1:
        parts = ["module " + node.name.strip("/").rpartition("/")[0].replace("/", ".")]
    return ", ".join(part for part in parts if part)


def _line(trace: str) -> str:
    """The innermost frame that is not torch's own."""
    frames = list(FRAME.finditer(trace))
    own = [frame for frame in frames if not any(name in frame["file"] for name in LIBRARIES)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f"{frame['file']}:{frame['line']} in {frame['function']}"


def _module(metadata: dict[str, str]) -> str:
    scopes, classes = _strings(metadata.get(SCOPES, "")), _strings(metadata.get(CLASSES, ""))
    # The last entry of both lists is the operator call itself.
    pairs = [
        (scope, kind) for scope, kind in zip(scopes[:-1], [*classes[:-1], *[""] * len(scopes)], strict=False) if scope
    ]
    if not pairs:
        return ""
    scope, kind = pairs[-1]
    return f"module {scope}" + (f" ({kind.rpartition('.')[2]})" if kind else "")


def _strings(text: str) -> list[str]:
    try:
        value = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(item) for item in value] if isinstance(value, list) else []


def _replaced(metadata: dict[str, str]) -> str:
    """Words for a node that a pass made in place of another, from the metadata that the pass left."""
    rule, old = metadata.get("surgeon.pass"), metadata.get("surgeon.replaces")
    return f"made by {rule} in place of {old}" if rule and old else ""
