"""Reports of unchanged models, kept by content hash, so that a second `surgeon verify` imports next to nothing.

Two kinds of small JSON files lie in the cache folder: the SHA-256 of a file by its path, size, times and inode, and the
report by the hashes of everything that it depends on. Whatever is unreadable there counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.report import Check, Finding, Report

FORMAT = 1
MOST_FILES = 4000
# A file that changed this recently may change again without its times telling (the racy case of git's index).
SETTLED_SECONDS = 2.0


def directory() -> Path:
    """SURGEON_CACHE, else the folder for surgeon where the system keeps caches of the user."""
    if os.environ.get("SURGEON_CACHE"):
        return Path(os.environ["SURGEON_CACHE"])
    from platformdirs import user_cache_path

    return user_cache_path("surgeon", appauthor=False, opinion=False)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, remembered while its size, times and inode stay; OSError as `open` gives it."""
    state = path.stat()
    stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev]
    memo = directory() / "hashes" / f"{_text_hash(os.path.abspath(path))}.json"
    known = _read(memo)
    if isinstance(known, dict) and known.get("stamp") == stamp and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    if time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_SECONDS:
        _write(memo, {"stamp": stamp, "sha256": sha.hexdigest()})
    return sha.hexdigest()


def tools(packages: Sequence[str]) -> list[str]:
    """What a report depends on besides the model: versions of packages, and this package's own files."""
    from importlib.metadata import PackageNotFoundError, version

    found = [f"format {FORMAT}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    own = sorted(p for p in Path(__file__).parent.rglob("*.*") if p.suffix not in (".pyc", ".npz"))
    return [*found, *(f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in own)]


def folder_state(folders: Iterable[Path]) -> list[str]:
    """Names, sizes and times of the files in golden folders."""
    return [
        f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for folder in folders
        for path in (folder, *sorted(folder.glob("*.json")), *sorted(folder.glob("*.npz")))
    ]


def key_of(path: Path, parts: Sequence[str]) -> str:
    """Key of the report of one model; its place counts, because goldens are found by it."""
    return _text_hash("\n".join([file_hash(path), os.path.abspath(path), *parts]))


def load(key: str, path: Path) -> Report | None:
    """The kept report, when the files with the model's external data are unchanged too."""
    kept = _read(directory() / "reports" / f"{key}.json")
    try:
        if any(file_hash(path.parent / name) != sha for name, sha in kept["external"].items()):
            return None
        checks = [Check(**check) for check in kept["checks"]]
        return Report(str(path), checks, [Finding(**finding) for finding in kept["findings"]], cached=True)
    except (TypeError, KeyError, AttributeError, OSError):
        return None


def save(key: str, path: Path, report: Report, external: Sequence[Path]) -> None:
    """Keep a report; what cannot be written is not kept."""
    from verify.render.data import plain

    checks = [vars(check) | {"figures": plain(check.figures)} for check in report.checks]
    findings = [
        {k: plain(v) for k, v in vars(finding).items() if k not in ("fix", "touches")} for finding in report.findings
    ]
    try:
        hashes = {os.path.relpath(file, path.parent): file_hash(file) for file in external}
    except OSError:
        return
    _write(directory() / "reports" / f"{key}.json", {"external": hashes, "checks": checks, "findings": findings})


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(path.parent)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        return


def _make_room(folder: Path) -> None:
    """Drop the older half of a folder that has grown large."""
    files = list(folder.iterdir())
    if len(files) > MOST_FILES:
        for file in sorted(files, key=lambda f: f.stat().st_mtime)[: MOST_FILES // 2]:
            file.unlink(missing_ok=True)
