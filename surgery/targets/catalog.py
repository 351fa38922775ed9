"""The catalog of features that TensorRT refuses: the smallest model of each, the reason and the advice."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Feature:
    """One row of the catalog.

    key       what `Target.refuses` and `Pass.feature` are asked for
    op        the operator the target's message points at
    reason    why it is refused, a sentence
    advice    what to do, a sentence
    text      ONNX text of the graph
    opset     of the default domain
    pass_code the pass that rewrites it, or None
    rtx_only  full TensorRT takes it, TensorRT-RTX does not
    profile   for dynamic inputs: the shape (a list), or for shape inputs the value (a number), to build at
    """

    key: str
    op: str
    reason: str
    advice: str
    text: str
    opset: int = 17
    pass_code: str | None = None
    rtx_only: bool = False
    profile: dict[str, Any] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """The smallest model that shows the feature."""
        import onnx

        return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {self.opset}]>\n{self.text}')


@cache
def load_catalog() -> dict[str, Feature]:
    """Every feature of the catalog by its key, in the catalog's order."""
    table = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text(encoding="utf-8"))
    return {key: _feature(key, row) for key, row in table.items()}


def _feature(key: str, row: dict[str, Any]) -> Feature:
    return Feature(key=key, text=row.pop("model"), pass_code=row.pop("pass", None), **row)
