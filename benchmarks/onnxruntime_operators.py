"""Every operator of onnxruntime that surgeon writes in plain ONNX: whether it is right, and whether TensorRT builds it.

    python -m benchmarks.onnxruntime_operators

Each operator stands in small models of the tests, written by hand, and in the files that onnxruntime's own optimizer
and quantizer made (`benchmarks/onnxruntime_models.py`, whose results are read). The models of the tests run in
onnxruntime before and after `fix`, and TensorRT-RTX says whether it builds them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.tables import table

RESULTS = Path(__file__).parent / "results"
PASSES = (
    "contrib.blocked_channels", "contrib.contrib_attention", "contrib.contrib_grouped_attention",
    "quantized.contrib_quantized", "quantized.contrib_quantized_product", "contrib.contrib_rotary_embedding",
    "quantized.dynamic_quantized_lstm", "contrib.fused_activation", "contrib.fused_convolution",
    "contrib.fused_normalization", "contrib.fused_product",
)  # fmt: skip
ABOUT = (
    "Of each operator: the pass that rewrites it; in how many models written by hand it stands, the largest difference "
    "of their outputs after `fix` in onnxruntime (in parts of the RMS; of quantized outputs in steps), and how many of "
    "them TensorRT-RTX builds; then in how many files of onnxruntime's own optimizer and quantizer it stands, and how "
    "many of those are built after `fix`."
)


def main() -> int:
    """Measure all models of the tests and write the page."""
    rows: dict[str, dict[str, Any]] = {}
    for name in PASSES:
        for code, case in _cases(name):
            for operator, found in _measured(case).items():
                row = rows.setdefault(operator, {"code": code, "cases": 0, "built": 0, "error": 0.0})
                row["cases"] += 1
                row["built"] += found["built"]
                row["error"] = max(row["error"], found["error"])
                print(operator, case.name, found, flush=True)
    path = RESULTS / "onnxruntime.json"
    models = json.loads(path.read_text())["models"] if path.is_file() else {}
    (RESULTS / "onnxruntime-operators.md").write_text(page(rows, models))
    return 0


def _cases(name: str) -> list[tuple[str, Any]]:
    from importlib import import_module

    room, file = name.split(".")
    module = import_module(f"tests.surgery.passes.tensorrt.{room}.test_{file}")
    return [(module.CODE, case) for case in module.REWRITES]


def _measured(case: Any) -> dict[str, dict[str, Any]]:
    """The error and TensorRT's answer, for each operator of onnxruntime in the model."""
    import surgery
    from surgery.targets.probe import ask_tensorrt
    from tests.surgery.passes.comparing import drawn, parse, run

    model = parse(case.text, case.opset)
    foreign = {node.op_type for node in model.graph.node if _is_foreign(node)}
    fixed, _ = surgery.fix_model(model, guard=False)
    feeds = drawn(model, case.inputs)
    error = max(_error(*pair) for pair in zip(run(model, feeds), run(fixed, feeds), strict=True))
    left = any(_is_foreign(node) for node in fixed.graph.node)
    built = not left and ask_tensorrt(fixed, {name: list(value.shape) for name, value in feeds.items()}) is None
    return {operator: {"error": error, "built": built} for operator in foreign}


def _is_foreign(node: onnx.NodeProto) -> bool:
    return node.domain not in ("", "ai.onnx") or node.op_type == "SimplifiedLayerNormalization"


def _error(wanted: np.ndarray, got: np.ndarray) -> float:
    gap = np.abs(wanted.astype(np.float64) - got.astype(np.float64)).max(initial=0)
    if wanted.dtype.kind != "f":
        return float(gap)
    return float(gap / max(np.sqrt((wanted.astype(np.float64) ** 2).mean()), 1e-6))


def page(rows: dict[str, dict[str, Any]], models: dict[str, Any]) -> str:
    """The table of operators."""
    written = {name for row in models.values() for name in row["operators"]}
    body = []
    for operator in sorted(rows.keys() | written):
        row = rows.get(operator, {"code": "", "cases": 0, "built": 0, "error": 0.0})
        files = [each["surgeon"] for each in models.values() if operator in each["operators"]]
        built = sum(ours.get("verdict") == "builds" for ours in files)
        by_hand = (str(row["cases"]), f"{row['error']:.1g}", str(row["built"])) if row["cases"] else ("", "", "")
        body.append((operator, row["code"], *by_hand, str(len(files)), str(built)))
    head = ("operator", "pass", "models by hand", "largest difference", "built", "files of onnxruntime", "built after")
    return "\n\n".join(["# Operators of onnxruntime in plain ONNX", ABOUT, table(head, body)]) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
