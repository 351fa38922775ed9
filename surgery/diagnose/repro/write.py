"""The smallest model that TensorRT still refuses for the same reason, with a script and the text of a bug report."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from surgery.diagnose.repro.bug_report import bug_report, script
from surgery.diagnose.repro.reduce import bare, smaller_weights
from surgery.diagnose.scratch import ScratchFolder
from surgery.diagnose.search import builder
from surgery.diagnose.search.bisect import bisect, prune
from surgery.diagnose.search.refusals import Case
from surgery.diagnose.search.submodel import part, with_constant_ancestors
from verify.errors import SurgeonError
from verify.tensorrt import engine
from verify.tensorrt.engine import Refusal

Fails = Callable[[onnx.ModelProto], bool]


@dataclass(frozen=True)
class Repro:
    """A case written as a model of its own: folder (None if it does not reproduce), nodes, bytes, seconds."""

    case: Case
    folder: Path | None
    nodes: int = 0
    size: int = 0
    seconds: float = 0.0


def write_repros(cases: Sequence[Case], source: Path, target: Path, seconds: float = 120.0) -> list[Repro]:
    """Cut out one case for each rule code and operator and write each into a folder of its own under `target`.

    Nothing is written for a case that does not reproduce; its `folder` is None then.

    Raises:
        SurgeonError: `target` cannot be written.
    """
    chosen: dict[tuple[str, str], Case] = {}
    for case in cases:
        if case.nodes:
            chosen.setdefault((case.finding.code, case.finding.op), case)
    return [_write(case, source, target, seconds) for case in chosen.values()]


def _write(case: Case, source: Path, target: Path, seconds: float) -> Repro:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="surgeon-repro-") as held:
        folder = Path(held) / "repro"
        folder.mkdir()
        model = reduce(case, source.parent, seconds)
        if model is None:
            return Repro(case, None, seconds=time.monotonic() - started)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        (folder / "reproduce.py").write_text(script(case), encoding="utf-8")
        (folder / "report.md").write_text(bug_report(case, model), encoding="utf-8")
        name = re.sub(r"[^\w.-]+", "-", f"{case.finding.code}-{case.finding.op}").strip("-")
        final = target / name
        try:
            target.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(final, ignore_errors=True)
            shutil.copytree(folder, final)
        except OSError as error:
            raise SurgeonError(f"{target}: the repro cannot be written: {error.strerror or error}") from None
    size = (final / "model.onnx").stat().st_size
    return Repro(case, final, len(model.graph.node), size, time.monotonic() - started)


def reduce(case: Case, folder: Path, seconds: float = 120.0) -> onnx.ModelProto | None:
    """The smallest model found that fails as the case does, its weights inside it; None when none does."""
    end = time.monotonic() + seconds
    view = case.view
    with ScratchFolder(view.model, folder) as scratch:
        fails = refused_alike(case, scratch)

        def made(keep: Collection[int]) -> onnx.ModelProto | None:
            for guess in (False, True):
                model = part(view, scratch.model, set(keep), guess)
                if model is not None and model.graph.output and fails(model):
                    return model
            return None

        def cut(keep: Collection[int]) -> bool:
            return made(keep) is not None

        last = case.nodes[-1]
        tries = [set(case.nodes), *(with_constant_ancestors(view, index) for index in case.nodes[-1:])]
        kept = next((sorted(nodes) for nodes in tries if cut(nodes)), None)
        if kept is None:
            kept = bisect(range(last + 1), cut, end) or bisect(range(len(view.nodes)), cut, end)
        elif len(kept) > 1:
            kept = prune(kept, cut, end)
        if not kept:
            return None
        model = made(kept)
        if model is None:
            return None
        model = smaller_weights(bare(model, fails), fails, scratch.folder)
        return model if fails(model) else None


def refused_alike(case: Case, scratch: ScratchFolder) -> Fails:
    """A test whether the parser refuses a model with the same code and operator, or the builder with the same error."""
    wanted = _plain(case.message)
    wanted_fingerprint = builder.fingerprint(case.message)

    def by_parser(model: onnx.ModelProto) -> bool:
        return any(_alike(refusal, case, wanted) for refusal in engine.parse(scratch.write(model), limit=60.0))

    def by_builder(model: onnx.ModelProto) -> bool:
        result = engine.build(scratch.write(model), limit=60.0)
        if result.ok or result.refusals:
            return False
        ops = {node.op_type for node in model.graph.node}
        return any(builder.fingerprint(builder.main_error(result), op) == wanted_fingerprint for op in ("", *ops))

    return by_parser if case.code else by_builder


def _alike(refusal: Refusal, case: Case, wanted: str) -> bool:
    return refusal.code == case.code and refusal.op == case.op and _plain(refusal.message) == wanted


def _plain(message: str) -> str:
    return builder.VARYING.sub("#", message)
