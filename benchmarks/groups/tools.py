"""The tools that models go through, each as its users run it, and what there is to say of the file that one leaves."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import peers

Feeds = Mapping[str, Any]

OURS = "surgeon"
FOR_ONNXRUNTIME = "surgeon --target onnxruntime"
FUNCTION = "onnxsim's function"  # its command also makes a table of what the model costs, which takes time
PEERS = ("onnxsim", "onnxslim", "polygraphy")
TIMED = (OURS, "onnxsim", "onnxslim")
SURGEON = {OURS: (), FOR_ONNXRUNTIME: ("--target", "onnxruntime")}
FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s'\"/]+/)+")  # of this machine, in what a tool says


def judged(group: str) -> tuple[str, ...]:
    """The tools whose files are compared with the original."""
    return (OURS, *PEERS, *((FOR_ONNXRUNTIME,) if group == "quantized" else ()))


def timed(group: str) -> tuple[str, ...]:
    """The tools whose seconds are measured by their own commands."""
    return (*TIMED, *((FOR_ONNXRUNTIME,) if group == "quantized" else ()))


def place(options: Any, group: str, tool: str, source: Path) -> Path:
    """Where the tool's file of a model is."""
    return Path(options.work) / group / tool / source.name


def run(tool: str, source: Path, target: Path, python: Path | None) -> dict[str, Any]:
    """One command: seconds, processor seconds and memory, or why there is no file at `target`."""
    for old in _files(target):
        old.unlink()
    if tool in SURGEON:
        done = peers.run_surgeon(source, target, SURGEON[tool])
    elif python is None:
        return {"error": "not run: no --peer-python given"}
    elif tool == FUNCTION:
        done = peers.run_peer(python, "onnxsim", source, target)
    else:
        done = peers.run_command(python, tool, source, target)
    if "error" not in done and not target.is_file():
        done["error"] = "wrote no file"
    if "error" in done:
        done["error"] = FOLDERS.sub("", done["error"])
    return done


def describe(path: Path) -> dict[str, Any]:
    """Nodes and bytes of a file, and a digest, by which a comparison is known to be of this very file."""
    digest, files = hashlib.sha256(), _files(path)
    for file in files:
        digest.update(file.read_bytes())
    return {
        "nodes": nodes(path),
        "bytes": sum(file.stat().st_size for file in files),
        "digest": digest.hexdigest()[:16],
    }


def _files(path: Path) -> list[Path]:
    """The file and those that hold its weights, which onnxsim's command puts beside a large one."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}*"))


def nodes(path: Path) -> int:
    """Nodes of the main graph, of the graphs inside its nodes and of its functions."""
    import onnx

    from verify.model.walk import every_node

    return sum(1 for _ in every_node(onnx.load(path, load_external_data=False)))
