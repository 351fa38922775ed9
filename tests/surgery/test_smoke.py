"""The command line and the library fix a small model end to end."""

from __future__ import annotations

from pathlib import Path

import onnx

import surgery

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[2] x) => (float[2] y) { a = Identity(x)  dead = Neg(a)  y = Relu(a) }
"""


def test_fix_drops_what_nothing_needs(tmp_path: Path) -> None:
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(onnx.parser.parse_model(MODEL), source)
    surgery.fix(source, target)
    assert [node.op_type for node in onnx.load(target).graph.node] == ["Relu"]
