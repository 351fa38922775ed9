"""Rules of the model around its graphs: versions, imports, metadata and functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from verify.lint.rule import Breach, Rule, shown, text
from verify.model.walk import domain_of

if TYPE_CHECKING:
    import onnx

FUNCTIONS_SINCE = 8  # the IR version that introduced functions
OPSETS_SINCE = 3  # the IR version from which a model imports operator sets


def ir_version(model: onnx.ModelProto) -> Iterator[Breach]:
    import onnx

    if model.ir_version < 1:
        yield Breach(f"IR version {model.ir_version}; the first is 1")
    elif model.ir_version > onnx.IR_VERSION:
        yield Breach(f"IR version {model.ir_version}; the installed onnx knows versions up to {onnx.IR_VERSION}")


def no_opset(model: onnx.ModelProto) -> Iterator[Breach]:
    if model.ir_version >= OPSETS_SINCE and not model.opset_import:
        yield Breach("the model imports no operator set")


def opset_version(model: onnx.ModelProto) -> Iterator[Breach]:
    for entry in model.opset_import:
        if entry.version < 1:
            yield Breach(f"version {entry.version} of {shown(entry.domain or 'ai.onnx')}; the first is 1")


def opset_twice(model: onnx.ModelProto) -> Iterator[Breach]:
    versions: dict[str, list[int]] = {}
    for entry in model.opset_import:
        versions.setdefault(text(domain_of(entry.domain)), []).append(entry.version)
    for domain, found in versions.items():
        if len(set(found)) > 1:
            yield Breach(f"{shown(domain or 'ai.onnx')} is imported in versions {', '.join(map(str, found))}")


def metadata_twice(model: onnx.ModelProto) -> Iterator[Breach]:
    for key, count in Counter(entry.key for entry in model.metadata_props).items():
        if count > 1:
            yield Breach(f"{count} entries have the key {shown(key)}")


def function_twice(model: onnx.ModelProto) -> Iterator[Breach]:
    found = Counter((one.domain, one.name, getattr(one, "overload", "")) for one in model.functions)
    for (domain, name, _), count in found.items():
        if count > 1:
            yield Breach(f"{count} functions are {shown(f'{text(domain)}::{text(name)}')}")


def function_too_new(model: onnx.ModelProto) -> Iterator[Breach]:
    if model.functions and 0 < model.ir_version < FUNCTIONS_SINCE:
        yield Breach(f"IR version {model.ir_version} has no functions; they came with version {FUNCTIONS_SINCE}")


RULES = (
    Rule(
        "SG700",
        "ir-version",
        "A model states the version of the file format, and readers refuse one that they do not know.",
        "Export again, or set ir_version to a version that your readers know.",
        ir_version,
        "model",
    ),
    Rule(
        "SG701",
        "no-opset-import",
        "A model from IR version 3 on imports the operator sets that its nodes use.",
        "Export again; the version of the operators cannot be guessed.",
        no_opset,
        "model",
    ),
    Rule(
        "SG702",
        "opset-version",
        "Versions of operator sets begin at 1.",
        "Export again with a version that exists.",
        opset_version,
        "model",
        severity="warning",
    ),
    Rule(
        "SG703",
        "opset-imported-twice",
        "A model imports one version of a domain.",
        "Keep the version that the exporter wrote the nodes for.",
        opset_twice,
        "model",
    ),
    Rule(
        "SG704",
        "metadata-key-twice",
        "The keys of the metadata are distinct.",
        "Keep one entry of each key.",
        metadata_twice,
        "model",
    ),
    Rule(
        "SG705",
        "function-twice",
        "No two functions have the same domain, name and overload.",
        "Rename one of them and the nodes that call it.",
        function_twice,
        "model",
    ),
    Rule(
        "SG706",
        "function-before-ir-8",
        "Functions came with IR version 8.",
        "Set ir_version to 8 or later.",
        function_too_new,
        "model",
        severity="warning",
    ),
)
