"""Command blocks of a Markdown page, and how they are run.

A comment on the lines before a ```bash block says what is special about it, parts separated by semicolons:

    <!-- slow -->                  run under the marker `slow` only
    <!-- not run: reason -->       never run here, e.g. for want of hardware
    <!-- exit 1 -->                the exit code it ends with, where that is not 0
    <!-- needs torch, av -->       modules without which it is left out

A ```text block with `<!-- output -->` before it shows what the block above it prints: its lines occur in that order in
the output, numbers may be others, and `...` stands for any number of lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?P<comments>(?:^[ ]*<!--[^\n]*-->\n\s*)*)"
    r"^(?P<indent>[ ]*)```(?P<kind>bash|text)[^\n]*\n(?P<body>.*?)^(?P=indent)```",
    re.M | re.S,
)


@dataclass
class Block:
    """One ```bash block: its text, the line it starts on, what its comments say and the output that is shown."""

    text: str
    line: int
    slow: bool = False
    not_run: str = ""
    exit_code: int = 0
    needs: tuple[str, ...] = ()
    output: str = ""


def read_blocks(page: str) -> list[Block]:
    """Every ```bash block of a page, in order.

    Raises:
        ValueError: a comment before a block says something unknown, so that a slip does not leave a block unrun.
    """
    blocks: list[Block] = []
    for found in BLOCK.finditer(page):
        words = [w.strip() for c in re.findall(r"<!--(.*?)-->", found["comments"]) for w in c.split(";")]
        words = [word for word in words if not re.match(r"(end|generated): ", word)]
        body = re.sub(f"^{found['indent']}", "", found["body"], flags=re.M)
        if found["kind"] == "bash":
            blocks.append(_read(Block(body, page[: found.start("body")].count("\n") + 1), words))
        elif "output" in words:
            blocks[-1].output = body
    return blocks


def _read(block: Block, words: list[str]) -> Block:
    for word in words:
        kind, _, rest = word.partition(" ")
        if word == "slow":
            block.slow = True
        elif word.startswith("not run: "):
            block.not_run = word.removeprefix("not run: ")
        elif kind == "exit":
            block.exit_code = int(rest)
        elif kind == "needs":
            block.needs = tuple(name.strip() for name in rest.split(","))
        else:
            raise ValueError(f"line {block.line}: unknown comment {word!r} before a command block")
    return block


def copy_repository(folder: Path) -> Path:
    """The files of the repository as they are now, those git ignores left out, at `folder`/repo."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    copy = folder / "repo"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    return copy


def environment(folder: Path, repository: Path) -> dict[str, str]:
    """The environment of a block: this interpreter's commands, and `surgeon` from the copied files."""
    commands = folder / "bin"
    commands.mkdir()
    surgeon = commands / "surgeon"
    surgeon.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m surgery "$@"\n', encoding="utf-8")
    surgeon.chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(repository), "COLUMNS": "100", "NO_COLOR": "1"}


def run_blocks(page: Path, folder: Path, *, slow: bool) -> tuple[list[Block], list[str]]:
    """Run the blocks of `page` one after the other in a copy of the repository in `folder`.

    Returns those that ran, and why others did not. Raises AssertionError at the first that fails.
    """
    repository = copy_repository(folder)
    variables = environment(folder, repository)
    ran, left = [], []
    for block in read_blocks(page.read_text(encoding="utf-8")):
        missing = [name for name in block.needs if find_spec(name) is None]
        if block.not_run or missing or (block.slow and not slow):
            left.append(f"line {block.line}: {block.not_run or ', '.join(missing) or 'slow'}")
            continue
        _run(block, page, repository, variables, 900 if block.slow else 120)
        ran.append(block)
    return ran, left


def _run(block: Block, page: Path, repository: Path, variables: dict[str, str], seconds: int) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=repository,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    place = f"{page.relative_to(ROOT)}:{block.line}"
    assert done.returncode == block.exit_code, f"{place} gave {done.returncode}:\n{block.text}\n{done.stdout}"
    missing = first_missing(block.output, done.stdout)
    assert missing is None, f"{place} shows {missing!r}, which is not what was printed:\n{done.stdout}"


def first_missing(shown: str, printed: str) -> str | None:
    """The first line shown that does not occur in what was printed after the lines before it; numbers may differ."""
    lines = iter([_plain(line) for line in printed.splitlines()])
    for line in shown.splitlines():
        wanted = _plain(line)
        if wanted and wanted != "..." and wanted not in lines:
            return line
    return None


def _plain(line: str) -> str:
    line = re.sub(r"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?", "0", line)
    return re.sub(r"[\s─━│┃]+", " ", line).strip()
