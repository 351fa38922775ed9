"""Reports of unchanged models, kept by content hash, so that a second `surgeon verify` imports next to nothing.

Two kinds of small JSON files lie in the cache folder: the SHA-256 of a file by its path, size, times and inode, and the
report by the hashes of everything that it depends on. Whatever is unreadable there counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.report import Check, Finding, Report, Verdict

FORMAT = 3
Stamp = tuple[int, int, int, int, int]
MOST_FILES = 4000
# A file that changed this recently may change again without its times telling (the racy case of git's index).
SETTLED_SECONDS = 2.0


def directory() -> Path:
    """SURGEON_CACHE, else the folder for surgeon where the system keeps caches of the user."""
    if os.environ.get("SURGEON_CACHE"):
        return Path(os.environ["SURGEON_CACHE"])
    from platformdirs import user_cache_path

    return user_cache_path("surgeon", appauthor=False, opinion=False)


def stamp(path: Path) -> Stamp:
    """Size, times, inode and device of a file. Any change of it shows here, because no program can set the ctime."""
    state = path.stat()
    return (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, remembered while its stamp stays; OSError as `open` gives it."""
    before = stamp(path)
    memo = directory() / "hashes" / f"{text_hash(os.path.abspath(path))}.json"
    known = _read(memo)
    if isinstance(known, dict) and known.get("stamp") == list(before) and known.get("seal") == _seal(*_memo(known)):
        return str(known["sha256"])
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    state = path.stat()
    if stamp(path) == before and time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_SECONDS:
        entry = {"stamp": list(before), "sha256": sha.hexdigest()}
        _write(memo, {**entry, "seal": _seal(*_memo(entry))})
    return sha.hexdigest()


def _memo(entry: Mapping[str, Any]) -> tuple[str, Any]:
    return str(entry.get("sha256")), entry["stamp"]


def tools(packages: Sequence[str]) -> list[str]:
    """What a report depends on besides the model: versions of packages, and this package's own files."""
    from importlib.metadata import PackageNotFoundError, version

    found = [f"format {FORMAT}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    home = Path(__file__).parent
    own = sorted(p for p in home.rglob("*.*") if p.suffix not in (".pyc", ".npz"))
    return [*found, *(f"{p.relative_to(home)} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in own)]


def load(key: str, path: Path) -> Report | None:
    """The report kept under `key`, if the files with the model's weights are unchanged; None for a damaged entry."""
    entry = _read(directory() / "reports" / f"{key}.json")
    try:
        kept = entry["kept"]
        if entry["sha256"] != _seal(key, kept):
            return None
        if any(file_hash(path.parent / name) != sha for name, sha in kept["weights"].items()):
            return None
        checks = [Check(**check) for check in kept["checks"]]
        findings = [Finding(**finding) for finding in kept["findings"]]
        verdicts = [Verdict(**verdict) for verdict in kept["verdicts"]]
        return Report(str(path), checks, findings, cached=True, verdicts=verdicts)
    except (TypeError, KeyError, AttributeError, OSError):
        return None


def save(key: str, report: Report, weights: Mapping[str, str]) -> None:
    """Keep a report and the SHA-256 of each file of weights, by its path from the model; silent if it cannot."""
    from verify.render.data import plain

    checks = [vars(check) | {"figures": plain(check.figures)} for check in report.checks]
    findings = [
        {k: plain(v) for k, v in vars(finding).items() if k not in ("fix", "touches")} for finding in report.findings
    ]
    kept = {
        "weights": dict(weights),
        "checks": checks,
        "findings": findings,
        "verdicts": [vars(one) for one in report.verdicts],
    }
    _write(directory() / "reports" / f"{key}.json", {"kept": kept, "sha256": _seal(key, kept)})


def _seal(key: str, kept: Any) -> str:
    """Hash of an entry under its key, so that one that was damaged or stands under another key is not believed."""
    return text_hash(key + json.dumps(kept, sort_keys=True))


def text_hash(text: str) -> str:
    """SHA-256 of a text."""
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
