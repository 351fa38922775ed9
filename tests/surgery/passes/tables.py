"""The models that the tests of the passes hold, for tests that run over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import onnx

from surgery.passes import PIPELINE
from tests.surgery.passes.comparing import Case, parse

CLEAN = """<ir_version: 8, opset_import: ["" : 17]>
clean (float[n, 4] x, bool c) => (float[n, 4] y) <float[4, 4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}> {
  [first] a = MatMul(x, w)
  [second] y = If(c) <
    then_branch = t () => (float[m, 4] p) { [inner] p = Relu(a) },
    else_branch = e () => (float[k, 4] q) { [other] q = Neg(a) }
  >
}"""


def path_of(entry: str) -> Path:
    """The test file of a pass, by its entry in PIPELINE: `cleanup.idle.unused_node`."""
    *rooms, name = entry.split(".")
    return Path(__file__).parent.joinpath(*rooms, f"test_{name}.py")


def files(entries: Iterable[str]) -> list[ModuleType]:
    """The test files of these passes, as modules; a pass without one is left out."""
    names = [entry.rpartition(".") for entry in entries if path_of(entry).exists()]
    return [import_module(f"tests.surgery.passes.{room}.test_{name}") for room, _, name in names]


def in_room(room: str) -> list[ModuleType]:
    return files(entry for entry in PIPELINE if entry.startswith(f"{room}."))


def rewrites(room: str) -> list[tuple[str, Case]]:
    """Code and case of all models that the passes of a room rewrite."""
    return [(file.CODE, case) for file in in_room(room) for case in getattr(file, "REWRITES", [])]


def models(room: str) -> list[tuple[str, onnx.ModelProto]]:
    """Name and model of all cases of the passes of a room, rewritten or left alone."""
    found = []
    for file in in_room(room):
        for case in [*getattr(file, "REWRITES", []), *getattr(file, "LEFT_ALONE", [])]:
            found.append((f"{file.CODE} {case.name}", parse(case.text, case.opset)))
    return found


def patterns() -> list[tuple[str, str, str]]:
    """Code, name and ONNX text of every pattern that a pass looks for."""
    return [(file.CODE, name, text) for file in files(PIPELINE) for name, text in getattr(file, "PATTERNS", {}).items()]
