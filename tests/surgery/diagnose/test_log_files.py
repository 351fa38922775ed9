"""`diagnose --log` of logs that were saved otherwise, cut short, or are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from surgery.diagnose.logs import diagnose_log, read_log
from tests.surgery.diagnose.log_files import CASES, LOGS, refusals
from verify.errors import SurgeonError


def copy_of(name: str, tmp_path: Path, change: object) -> Path:
    target = tmp_path / f"{name}.log"
    target.write_bytes(change((LOGS / f"{name}.txt").read_bytes()))  # type: ignore[operator]
    return target


def interleaved(data: bytes) -> bytes:
    """The log with a line of standard output after each line of standard error."""
    info = b"[06/02/2025-08:00:09] [I] [TRT] Searching for plugin with node domain namespace: \n"
    return b"".join(line + b"\n" + info for line in data.splitlines())


@pytest.mark.parametrize(
    "change",
    [
        gzip.compress,
        interleaved,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"".join(b"2026-11-30T05:50:21.1234567Z " + line for line in data.splitlines(keepends=True)),
        lambda data: b"".join(b"builder-1  | " + line for line in data.splitlines(keepends=True)),
        lambda data: data.replace(b"[E]", b"\x1b[31m[E]\x1b[0m"),
        lambda data: data + b"\xff\xfe\x00 not text",
    ],
    ids=["gz", "interleaved", "crlf", "powershell", "bom", "ci-times", "compose", "colours", "bytes"],
)
def test_other_ways_to_save_a_log(change: object, detector: Path, tmp_path: Path) -> None:
    report = diagnose_log(copy_of("trtexec_10.9_three", tmp_path, change), detector)
    assert refusals(report) == CASES["trtexec_10.9_three"].refusals
    assert report.verdicts[0].judge.startswith("TensorRT 10.9.0 on NVIDIA A10, from the log ")


def test_cut_log_gives_what_it_has_and_no_verdict(detector: Path, tmp_path: Path) -> None:
    cut = copy_of("trtexec_10.9_passed", tmp_path, lambda data: data[: data.index(b"[06/02/2025-09:01:21]")])
    report = diagnose_log(cut, detector)
    assert report.verdicts[0].state == "unknown"
    assert report.checks[0].status == "skip"
    assert report.exit_code == 0
    assert diagnose_log(cut, detector, fail_on="unknown").exit_code == 1


@pytest.mark.parametrize("place", [b"--- End node", b'op_type: "ToyNorm"', b"ModelImporter.cpp:953"])
def test_block_that_is_cut_short_still_names_its_node(place: bytes, detector: Path, tmp_path: Path) -> None:
    cut = copy_of("trtexec_10.9_three", tmp_path, lambda data: data[: data.index(place)])
    report = diagnose_log(cut, detector)
    # The plugin registry has named Det before; the model has one.
    assert {node for _, _, node in refusals(report)} == {"/norm1/ToyNorm", "/head/Det"}
    assert report.verdicts[0].state == "refused"


def test_packed_log_that_is_cut_short(detector: Path, tmp_path: Path) -> None:
    log = copy_of("trtexec_8.6_plugin", tmp_path, lambda data: gzip.compress(data * 50)[:-40])
    assert diagnose_log(log, detector).verdicts[0].judge.startswith("TensorRT 8.6.1")


def test_last_of_several_runs_counts(detector: Path, tmp_path: Path) -> None:
    passed = (LOGS / "trtexec_10.9_passed.txt").read_bytes()
    report = diagnose_log(copy_of("trtexec_10.9_three", tmp_path, lambda data: data + passed), detector)
    assert refusals(report) == set()
    assert report.verdicts[0].state == "accepted"
    assert "1 earlier run in it not looked at" in report.checks[0].message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello\nworld\n", "is no log of TensorRT"),
        (b"ERROR: disk full\nWARNING: low battery\n", "is no log of TensorRT"),
        (b"\x08\x07\x12\x07pytorch:\xff" * 50, "is no log of TensorRT"),
        (gzip.compress(b"hello", mtime=0), "is no log of TensorRT"),
    ],
)
def test_what_is_no_log_is_one_line_and_exit_2(content: bytes, says: str, tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(content)
    with pytest.raises(SurgeonError, match=says) as error:
        read_log(log)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_missing_log() -> None:
    with pytest.raises(SurgeonError, match=r"nothing\.log"):
        read_log(Path("nothing.log"))
