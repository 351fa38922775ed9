"""One reader for model files: what it takes, and one clear line for what it does not."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from onnx import helper, parser

from verify.errors import SurgeonError
from verify.model import read
from verify.model.read import read_model

TEXT = '<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) { y = Neg(x) }'


def test_limit_of_a_file_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(parser.parse_model(TEXT), path)
    monkeypatch.setattr(read, "LIMIT", path.stat().st_size)
    assert read_model(path).graph.name == "g"
    monkeypatch.setattr(read, "LIMIT", path.stat().st_size - 1)
    with pytest.raises(SurgeonError, match="above 2 GB"):
        read_model(path)
    with pytest.raises(SurgeonError, match=r"is a folder; name the \.onnx file in it"):
        read_model(tmp_path)


def test_two_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.touch()
    os.truncate(path, 2**31)
    with pytest.raises(SurgeonError, match="above 2 GB, protobuf's limit"):
        read_model(path)


def test_graph_without_nodes_may_have_outputs(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graph = helper.make_graph(
        [], "g", [], [helper.make_tensor_value_info("w", 1, [1])], [helper.make_tensor("w", 1, [1], [0])]
    )
    onnx.save(helper.make_model(graph), path)
    assert read_model(path).graph.name == "g"
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [])), path)
    with pytest.raises(SurgeonError, match="no graph inside"):
        read_model(path)
