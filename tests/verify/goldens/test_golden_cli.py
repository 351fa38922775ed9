"""`surgeon golden` from end to end: what is kept, what is refused, and nothing half-written."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.verify.cli_models import write

Surgeon = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_folder")


def test_show_lists_versions_and_reasons(surgeon: Surgeon, good: Path) -> None:
    code, out, _ = surgeon("golden", "show", "golden", "--tensors")
    assert code == 0
    assert "onnxruntime" in out
    assert "8 times the largest difference among" in out


def test_full_disk_leaves_the_old_golden(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEON_DEBUG", "1")  # record in this process, whose disk is full
    before = {path.name: path.read_bytes() for path in Path("golden").iterdir()}

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = surgeon("golden", "record", good, "--seed", "5")
    assert code == 2
    assert "No space left on device" in err
    assert {path.name: path.read_bytes() for path in Path("golden").iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_target(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"))
    Path("golden").mkdir()
    Path("golden").chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert surgeon("golden", "record", path)[0] == 2


def test_target_that_is_a_file(surgeon: Surgeon) -> None:
    path = write(Path("net.onnx"))
    Path("golden").write_text("in the way")
    code, _, err = surgeon("golden", "record", path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "cannot be made" in err
    assert "choose another with -o" in err
    assert Path("golden").read_text() == "in the way"


def test_interrupt_is_130_and_leaves_nothing(surgeon: Surgeon, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from verify.goldens import record

    monkeypatch.setenv("SURGEON_DEBUG", "1")  # record in this process, which is interrupted
    before = sorted(path.name for path in Path("golden").iterdir())

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "write_index", interrupted)
    code, _, err = surgeon("golden", "record", good, "--seed", "9")
    assert (code, "Traceback" in err) == (130, False)
    assert sorted(path.name for path in Path("golden").iterdir()) == before


@pytest.mark.parametrize("kind", ["pickle", "bomb", "huge header", "text", "wrong names", "wrong shape", "absent"])
def test_hostile_inputs_are_one_line_and_exit_2(surgeon: Surgeon, kind: str) -> None:
    path, given = write(Path("net.onnx")), Path("in.npz")
    if kind == "pickle":
        np.savez(given, x=np.array([object()]))
    elif kind == "bomb":
        np.savez(given, x=np.zeros(4), y=np.zeros(4))
        size_at = 24  # of the unpacked size in an entry of a zip's central directory
        entries = given.read_bytes().split(b"PK\x01\x02")
        given.write_bytes(
            b"PK\x01\x02".join(
                [entries[0], *(e[: size_at - 4] + b"\xf0\xff\xff\xff" + e[size_at:] for e in entries[1:])]
            )
        )
    elif kind == "huge header":
        head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000000,), }"
        with zipfile.ZipFile(given, "w") as archive:
            archive.writestr("x.npy", head.ljust(127) + b"\n")
    elif kind == "text":
        given.write_text("hello")
    elif kind != "absent":
        np.savez(given, **({"z": np.zeros((2, 8), "f4")} if kind == "wrong names" else {"x": np.zeros((3, 3), "f4")}))
    code, out, err = surgeon("golden", "record", path, "--inputs", given)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert not Path("golden").exists()
