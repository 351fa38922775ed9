"""A report comes from the cache only for what was checked: races and swaps that once gave a pass for another file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from tests.verify.cli_models import weight, write
from verify import api, record_golden
from verify.cached import verify_cached
from verify.errors import SurgeonError

pytestmark = pytest.mark.usefixtures("own_folder")
OPTIONS: dict[str, Any] = {"spec": None, "tensorrt": False}
Swap = Callable[[], Any]


@pytest.fixture
def good(own_folder: None) -> Path:
    path = write(Path("net.onnx"))
    record_golden(path)
    return path


def bad(name: str = "bad.onnx", **options: Any) -> Path:
    return write(Path(name), w=weight() * 2, **options)


def swapping(before: Swap = lambda: None, after: Swap = lambda: None) -> Any:
    """Have something happen right before and right after the checks of a model."""
    checks = api.verify_read_model

    def swapped(*arguments: Any, **options: Any) -> Any:
        before()
        report = checks(*arguments, **options)
        after()
        return report

    return mock.patch.object(api, "verify_read_model", swapped)


def test_a_second_run_is_from_the_cache(good: Path) -> None:
    first, second = (verify_cached(good, OPTIONS) for _ in range(2))
    assert (first.cached, second.cached) == (False, True)
    assert second.checks == first.checks


def test_a_failing_report_is_not_kept(good: Path) -> None:
    bad(good.name)
    assert [verify_cached(good, OPTIONS).exit_code for _ in range(2)] == [1, 1]


def test_a_model_that_is_swapped_during_the_checks(good: Path) -> None:
    """The bad model stands in the place while a good one is checked."""
    shutil.copy(good, "right.onnx")
    bad(good.name)
    with swapping(lambda: os.replace("right.onnx", good)):
        assert verify_cached(good, OPTIONS).exit_code == 0
    bad(good.name)
    assert verify_cached(good, OPTIONS).exit_code == 1


def test_a_model_that_is_swapped_there_and_back(good: Path) -> None:
    good.rename("right.onnx")
    bad(good.name)

    def exchange() -> None:
        os.rename(good, "between")
        os.rename("right.onnx", good)
        os.rename("between", "right.onnx")

    with swapping(exchange, exchange):
        assert verify_cached(good, OPTIONS).exit_code == 0
    assert verify_cached(good, OPTIONS).exit_code == 1


def test_weights_that_change_after_the_checks() -> None:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    path = write(Path("net.onnx"), **options)
    record_golden(path)
    wrong = (weight() * 2).tobytes()
    with swapping(after=lambda: Path("w.bin").write_bytes(wrong)):
        assert verify_cached(path, OPTIONS).exit_code == 0
    assert verify_cached(path, OPTIONS).exit_code == 1


def test_a_golden_of_the_same_size_and_time(good: Path) -> None:
    (data,) = Path("golden").glob("*.npz")
    assert verify_cached(good, OPTIONS).exit_code == 0
    for file in (data, Path("golden/index.json")):
        times, content = file.stat(), file.read_bytes()
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert file.stat().st_size == times.st_size
        with suppress(SurgeonError):
            assert not verify_cached(good, OPTIONS).cached
        file.write_bytes(content)


def test_two_projects_with_a_folder_of_the_same_name(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is the same file; each working directory has its own ./golden, of one size and time."""
    model = good.resolve()
    assert verify_cached(model, OPTIONS).exit_code == 0
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("SURGEON_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(other)
    wrong = bad()
    record_golden(wrong)
    index = Path("golden/index.json")
    index.write_text(index.read_text().replace("../bad.onnx", "../../net.onnx"))
    wrong.unlink()
    report = verify_cached(model, OPTIONS)
    assert (report.cached, report.exit_code) == (False, 1)


def test_a_golden_whose_model_came_back_is_another_question(good: Path) -> None:
    """Which golden a model is compared with depends on which recorded models are in their place."""
    moved = Path("sub/net.onnx")
    moved.parent.mkdir()
    good.rename(moved)
    assert "found by content" in verify_cached(moved, OPTIONS).checks[-1].message
    bad(good.name)
    again = verify_cached(moved, OPTIONS)
    assert not again.cached


def test_time_alone_does_not_matter(good: Path) -> None:
    verify_cached(good, OPTIONS)
    os.utime(good, (1, 1))
    assert verify_cached(good, OPTIONS).cached
    assert np.isclose(good.stat().st_mtime, 1)
