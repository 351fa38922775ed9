"""Reports are kept while nothing they depend on changes, and a cache that is broken is no cache."""

from __future__ import annotations

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
    key = cache.key_of(path, ["options"])
    assert cache.load(key, path) is None
    cache.save(key, path, REPORT, [])
    assert cache.load(key, path) == Report(str(path), REPORT.checks, cached=True)


def test_key_changes_with_content_place_and_parts(tmp_path: Path) -> None:
    path = aged(tmp_path / "m.onnx", b"model")
    keys = {cache.key_of(path, ["a"]), cache.key_of(path, ["b"])}
    keys.add(cache.key_of(aged(tmp_path / "n.onnx", b"model"), ["a"]))
    path.write_bytes(b"other")
    keys.add(cache.key_of(path, ["a"]))
    assert len(keys) == 4


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


def test_external_data_counts(tmp_path: Path) -> None:
    path, data = aged(tmp_path / "m.onnx", b"model"), aged(tmp_path / "w.bin", b"weights")
    key = cache.key_of(path, [])
    cache.save(key, path, REPORT, [data])
    assert cache.load(key, path) is not None
    data.write_bytes(b"weightz")
    assert cache.load(key, path) is None
    data.unlink()
    assert cache.load(key, path) is None


def test_hash_is_remembered_only_for_files_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"one")
    first = cache.file_hash(fresh)
    assert not (tmp_path / "cache" / "hashes").exists()
    fresh.write_bytes(b"two")
    assert cache.file_hash(fresh) != first
    monkeypatch.setattr(cache, "SETTLED_SECONDS", -1.0)
    known = cache.file_hash(fresh)
    (memo,) = (tmp_path / "cache" / "hashes").iterdir()
    memo.write_text(memo.read_text().replace(known, "remembered"))
    assert cache.file_hash(fresh) == "remembered"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"external": 3}', b"\xff", b"[" * 50_000])
def test_broken_entries_count_as_absent(tmp_path: Path, content: bytes) -> None:
    path = aged(tmp_path / "m.onnx", b"model")
    key = cache.key_of(path, [])
    cache.save(key, path, REPORT, [])
    (entry,) = (tmp_path / "cache" / "reports").iterdir()
    entry.write_bytes(content)
    assert cache.load(key, path) is None
    for memo in (tmp_path / "cache" / "hashes").glob("*"):
        memo.write_bytes(content)
    assert cache.key_of(path, []) == key


def test_unwritable_cache_is_silent(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = aged(tmp_path / "m.onnx", b"model")
    cache.save(cache.key_of(path, []), path, REPORT, [])
    assert cache.load(cache.key_of(path, []), path) is None


def test_old_entries_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_FILES", 10)
    path = aged(tmp_path / "m.onnx", b"model")
    for number in range(30):
        cache.save(cache.key_of(path, [str(number)]), path, REPORT, [])
    assert len(list((tmp_path / "cache" / "reports").iterdir())) <= 11
    assert cache.load(cache.key_of(path, ["29"]), path) is not None


def test_a_hit_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from verify import cache; p = Path(sys.argv[1]);"
        "cache.load(cache.key_of(p, cache.tools(['numpy'])), p);"
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'rich', 'torch') if m in sys.modules])"
    )
    path = aged(tmp_path / "m.onnx", b"model")
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
