"""The last line of `surgeon fix`: what the target says of the result."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.surgery.cli.test_fix import fix

BITS_AND_SORT = """<ir_version: 8, opset_import: ["" : 18]>
g (int32[2] x, float[5000] s) => (int32[2] y, float[4000] v) <int64[1] k = {4000}> {
  [and] y = BitwiseAnd(x, x)  [sort] v, i = TopK<sorted = 0>(s, k) }"""


@pytest.mark.parametrize(
    ("options", "line", "code"),
    [
        (["--target", "tensorrt-10.14"], "TensorRT 10.14 by NVIDIA's operator table: refuses 1 place: ", 0),
        (["--target", "tensorrt-10.14", "--strict"], "TensorRT 10.14 by NVIDIA's operator table: refuses 1 place: ", 1),
        (["--target", "onnxruntime"], "(loaded here): accepts it", 0),
    ],
)
def test_the_last_line_is_the_answer_of_the_target(
    options: list[str], line: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(BITS_AND_SORT), "model.onnx")
    done = fix("model.onnx", *options)
    assert line in done.output.strip().splitlines()[-1]
    assert done.return_value == code


def test_a_missing_file_weighs_more_than_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(BITS_AND_SORT), "model.onnx")
    strict = ["--target", "tensorrt-10.14", "--strict", "-o", "out"]
    assert fix("model.onnx", *strict).return_value == 1
    assert fix("model.onnx", "none.onnx", *strict).return_value == 2
