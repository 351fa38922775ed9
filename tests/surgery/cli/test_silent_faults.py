"""`surgeon verify` names the places that some TensorRT takes and computes wrongly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from surgery.diagnose import silent_faults
from tests.verify.cli_models import TEXT, TWO_SUMS, write
from verify.model import read

Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    from surgery import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SURGEON_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["surgeon", "verify", *map(str, arguments), "--no-trt"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out

    return run


def old(path: Path) -> Path:
    """The file as one that changed a minute ago, which the cache trusts."""
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def test_a_fault_is_a_warning_and_does_not_fail(verify: Verify) -> None:
    path = old(write(Path("net.onnx"), TWO_SUMS))
    for cached in (False, True):
        code, out = verify(path)
        words = " ".join(out.split())
        assert code == 0
        assert ("from cache" in words) == cached
        assert "SG180 warning CumSum TensorRT 10.14 to 11 compute it wrongly: cumulative sums" in words
        assert "surgeon diagnose net.onnx --target tensorrt-10.14; surgeon fix net.onnx --target" in words
        assert "2 warnings" in words
        assert "pass silent faults" not in words


def test_json_and_sarif_have_it_as_a_warning(verify: Verify) -> None:
    path = write(Path("net.onnx"), TWO_SUMS)
    (report,) = json.loads(verify(path, "--format", "json")[1])["reports"]
    found = [(one["code"], one["severity"], one["details"]["versions"]) for one in report["findings"]]
    assert found == [("SG180", "warning", ["10.14", "10.16", "11"])] * 2
    (run,) = json.loads(verify(path, "--format", "sarif")[1])["runs"]
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [("SG180", "warning")] * 2
    assert run["tool"]["driver"]["rules"][0]["shortDescription"]["text"] != "SG180"


def test_what_depends_on_the_values_is_a_note(verify: Verify) -> None:
    path = write(Path("net.onnx"), "m (int64[2] a, int64[2] b) => (int64[2] c) { c = Mod(a, b) }")
    code, out = verify(path)
    words = " ".join(out.split())
    assert code == 0
    assert "SG181 note Mod TensorRT 10.9 to 11 may compute it wrongly" in words
    assert "pass silent faults no place that TensorRT 10.9 to 11 certainly compute wrongly; 1 place" in words


def test_a_fault_inside_a_branch_is_found(verify: Verify) -> None:
    inside = (
        "m (bool c, float16[2] x) => (float16[2] y) { y = If(c) <then_branch = t () => (float16[2] u)"
        " { u = Mean(x, x) }, else_branch = f () => (float16[2] v) { v = Neg(x) }> }"
    )
    assert "SG182" in verify(write(Path("net.onnx"), inside))[1]


def test_a_clean_model_passes(verify: Verify) -> None:
    words = " ".join(verify(write(Path("net.onnx"), TEXT))[1].split())
    assert "pass silent faults no place that TensorRT 10.9 to 11 certainly compute wrongly" in words


def test_a_search_that_fails_is_a_skip_not_a_pass(verify: Verify) -> None:
    with mock.patch.object(silent_faults, "wrong_result_findings", side_effect=ValueError("no such row")):
        code, out = verify(write(Path("net.onnx"), TWO_SUMS))
    assert code == 0
    assert "skip silent faults the graph cannot be searched: ValueError: no such row" in " ".join(out.split())


@pytest.mark.parametrize("option", [[], ["--no-cache"]])
def test_a_model_is_read_once_for_all_checks(verify: Verify, option: list[str]) -> None:
    path = write(Path("net.onnx"), TWO_SUMS)
    with mock.patch.object(read, "require_content", wraps=read.require_content) as reading:
        assert verify(path, *option)[0] == 0
    assert [Path(call.args[0]).name for call in reading.call_args_list] == ["net.onnx"]
