"""The Markdown page of a run's results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.frames import MODULES


def page(name: str, found: dict[str, Any]) -> str:
    """All sections that were run, each with the figures of every tool side by side."""
    machine = found["machine"]
    parts = [
        f"# SAM2.1 {name}",
        f"{machine['processors']} CPU cores, onnxruntime {machine['onnxruntime']}; {machine['gpu']}.",
    ]
    makers = {"frame": _frame, "tensorrt": _tensorrt, "precision": _precision, "growth": _growth}
    for section, make in makers.items():
        if section in found:
            parts += make(found[section])
    if "start" in found:
        start = found["start"]
        parts.append(
            f"Start-up: `surgeon --help` {start['help']:.2f} s; first `verify` {start['verify_first']:.1f} s, "
            f"the same again {start['verify_again']:.2f} s."
        )
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _seconds(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "fails" if value else "-"


def _frame(found: dict[str, Any]) -> list[str]:
    base = found["reference"]["frame"]
    rows = []
    for tool, result in found.items():
        times = [_seconds(result["modules"].get(module)) for module in MODULES]
        whole = result["frame"]
        ratio = f"{whole / base:.2f}" if whole and base else "-"
        worst = max((error for errors in result["errors"].values() for error in errors.values()), default=-1.0)
        rows.append([tool, *times, _seconds(whole), ratio, f"{worst:.1e}"])
    head = ["files", *MODULES, "one frame, s", "of reference", "largest error / RMS"]
    return ["## onnxruntime on the CPU, one frame with three objects (seconds)", table(head, rows)]


def _tensorrt(found: dict[str, Any]) -> list[str]:
    rows = []
    for module in MODULES:
        for tool, results in found.items():
            row = results[module]
            if "error" in row:
                rows.append([module, tool, row["error"], "", "", ""])
                continue
            fused = f"{row['fused']} of {row['attentions']}"
            rows.append([module, tool, row["kernels"], fused, row["scratch_mb"], row["weights_mb"]])
    for tool, results in found.items():
        total = sum(results[module].get("kernels", 0) for module in MODULES)
        rows.append(["all four", tool, total, "", "", ""])
    reasons = [
        f"- {tool}, {module}, `{name}`: {why}"
        for tool, results in found.items()
        if tool.endswith("mixed")
        for module in MODULES
        for name, why in results[module].get("not_fused", {}).items()
    ]
    head = ["module", "files", "kernels", "attention fused", "scratch MB", "weights MB"]
    text = "Attention that is not fused in mixed precision:\n\n" + "\n".join(reasons) if reasons else ""
    return [
        "## TensorRT-RTX builds for SM89 (7 frames, 16 pointers, one object)",
        table(head, rows),
        *filter(None, [text]),
    ]


def _precision(found: dict[str, Any]) -> list[str]:
    rows = []
    for module in MODULES:
        for tool, results in found.items():
            row = results[module]
            if "error" in row:
                rows.append([module, tool, "the converter fails", "", "", "", ""])
                continue
            built, error = row["build"], row.get("error_in_onnxruntime")
            error = f"{error:.1e}" if isinstance(error, float) else "onnxruntime cannot run it"
            if "error" in built:
                rows.append([module, tool, row["casts"], error, "does not build", "", ""])
                continue
            fused = f"{built['fused']} of {built['attentions']}"
            rows.append([module, tool, row["casts"], error, fused, built["scratch_mb"], built["weights_mb"]])
    head = ["module", "converter", "casts", "error / RMS", "attention fused", "scratch MB", "weights MB"]
    return ["## Half precision of the same files", table(head, rows)]


def _growth(found: dict[str, Any]) -> list[str]:
    head = list(next(iter(found.values())))
    rows = [[count, *(f"{v:.1e}" if h == "error" else v for h, v in row.items())] for count, row in found.items()]
    return ["## Memory attention by frames in memory", table(["frames", *head], rows)]
