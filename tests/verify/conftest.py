"""The command line, run in the test's own process and folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surgery import cli
from tests.verify.cli_models import write

Surgeon = Callable[..., tuple[int, str, str]]


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEON_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def surgeon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Surgeon:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["surgeon", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        code = ended.value.code
        assert isinstance(code, int)
        return code, out, err

    return run


@pytest.fixture
def good(own_folder: None, surgeon: Surgeon) -> Path:
    path = write(Path("net.onnx"))
    assert surgeon("golden", "record", path)[0] == 0
    return path
