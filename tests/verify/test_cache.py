"""Reports are kept while nothing they depend on changes, and a cache that is broken is no cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from verify import cache
from verify.report import Check, Report


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURGEON_CACHE", str(tmp_path / "cache"))


def aged(path: Path, content: bytes, age: float = 10.0) -> Path:
    path.write_bytes(content)
    old = path.stat().st_mtime - age
    os.utime(path, (old, old))
    return path


REPORT = Report("m.onnx", [Check("golden", "pass", "fine", {"tensors": {"y": {"max_rel": 0.0}}})])


def test_report_comes_back_as_it_was(tmp_path: Path) -> None:
    path = aged(tmp_path / "m.onnx", b"model")
    assert cache.load("key", path) is None
    cache.save("key", REPORT, {})
    assert cache.load("key", path) == Report(str(path), REPORT.checks, cached=True)


@pytest.mark.parametrize(
    ("system", "variables", "wanted"),
    [
        (Unix, {"SURGEON_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        (Unix, {"XDG_CACHE_HOME": "/xdg", "LOCALAPPDATA": "/local"}, "/xdg/surgeon"),
        (Unix, {"HOME": "/home/me"}, "/home/me/.cache/surgeon"),
        (MacOS, {"HOME": "/home/me", "LOCALAPPDATA": "/local"}, "/home/me/Library/Caches/surgeon"),
    ],
)
def test_place_of_the_cache(
    monkeypatch: pytest.MonkeyPatch, system: type, variables: dict[str, str], wanted: str
) -> None:
    for name in ("SURGEON_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    assert cache.directory() == Path(wanted)


def test_weights_beside_the_model_count(tmp_path: Path) -> None:
    path, data = aged(tmp_path / "m.onnx", b"model"), aged(tmp_path / "w.bin", b"weights")
    cache.save("key", REPORT, {"w.bin": cache.file_hash(data)})
    assert cache.load("key", path) is not None
    data.write_bytes(b"weightz")
    assert cache.load("key", path) is None
    data.unlink()
    assert cache.load("key", path) is None


def test_hash_is_remembered_only_for_files_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"one")
    first = cache.file_hash(fresh)
    assert not (tmp_path / "cache" / "hashes").exists()
    fresh.write_bytes(b"two")
    assert cache.file_hash(fresh) != first
    monkeypatch.setattr(cache, "SETTLED_SECONDS", -1.0)
    second = cache.file_hash(fresh)
    (memo,) = (tmp_path / "cache" / "hashes").iterdir()
    monkeypatch.setattr(cache.hashlib, "sha256", None)
    with pytest.raises(TypeError):
        cache.file_hash(tmp_path / "cache")
    monkeypatch.undo()
    assert json.loads(memo.read_text())["sha256"] == second


def test_same_size_and_time_are_not_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SETTLED_SECONDS", -1.0)
    path = aged(tmp_path / "m", b"one")
    times, first = path.stat(), cache.file_hash(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.file_hash(path) != first


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"kept": 3}', b"\xff", b"[" * 50_000, "odd", "moved"])
def test_damaged_and_odd_entries_are_checked_again(tmp_path: Path, content: bytes | str) -> None:
    path = aged(tmp_path / "m.onnx", b"model")
    known = cache.file_hash(path)
    cache.save("key", REPORT, {})
    (entry,) = (tmp_path / "cache" / "reports").iterdir()
    changed = entry.read_bytes().replace(b"fine", b"good") if content == "odd" else content
    name = "other.json" if content == "moved" else entry.name
    entry.rename(entry.with_name(name)) if content == "moved" else entry.write_bytes(bytes(changed))  # type: ignore[arg-type]
    assert cache.load(name.removesuffix(".json"), path) is None
    for memo in (tmp_path / "cache" / "hashes").glob("*"):
        damaged = memo.read_text().replace(known[:5], "00000") if isinstance(content, str) else content.decode("latin")
        memo.write_text(damaged)
    assert cache.file_hash(path) == known


def test_unwritable_cache_is_silent(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = aged(tmp_path / "m.onnx", b"model")
    cache.save("key", REPORT, {"m.onnx": cache.file_hash(path)})
    assert cache.load("key", path) is None


def test_old_entries_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_FILES", 10)
    path = aged(tmp_path / "m.onnx", b"model")
    for number in range(30):
        cache.save(str(number), REPORT, {})
    assert len(list((tmp_path / "cache" / "reports").iterdir())) <= 11
    assert cache.load("29", path) is not None


def test_a_hit_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from verify import cache; p = Path(sys.argv[1]);"
        "cache.file_hash(p); cache.tools(['numpy']); cache.load('key', p);"
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'rich', 'torch') if m in sys.modules])"
    )
    path = aged(tmp_path / "m.onnx", b"model")
    cache.save("key", REPORT, {})
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
