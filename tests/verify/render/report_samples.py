"""Reports for the tests of the renderers: every status and severity, drawings, and names that mean harm."""

from __future__ import annotations

from typing import Any

from verify.render import RuleText
from verify.report import Check, Finding, Report

HOSTILE = "</script><script>alert(1)</script>\"'&\x1b[31m\u202e\ud800<img src=x onerror=alert(1)>"

NEIGHBOURHOOD: dict[str, Any] = {
    "nodes": [
        {"id": "1", "label": "Add"},
        {"id": "2", "label": "/encoder/blocks.3/norm1/Constant"},
        {"id": "3", "label": "LayerNormalization", "refused": True},
        {"id": "4", "label": "MatMul"},
        {"id": "5", "label": "Add"},
    ],
    "edges": [
        {"from": "1", "to": "3", "label": "float32[1, 4096, 256]"},
        {"from": "2", "to": "3", "label": "float32[256]"},
        {"from": "3", "to": "4", "label": "float32[1, 4096, 256]"},
        {"from": "3", "to": "5", "label": "float32[1, 4096, 1]"},
    ],
}

RULES = {
    "SG114": RuleText(
        "SG114",
        "layernorm-outputs",
        "LayerNormalization with more than one output.",
        True,
        "replace",
        {"What it does": "drops the outputs nothing reads.", "Numerics": "exact."},
    )
}


def refused(node: str = "/decoder/LayerNormalization_3", **changes: Any) -> Finding:
    """A refusal with everything a finding can hold."""
    given: dict[str, Any] = {
        "code": "SG114",
        "message": "TensorRT-RTX refuses it: mean and inverse deviation are asked for",
        "node": node,
        "op": "LayerNormalization",
        "path": "If_7/else_branch",
        "why": "The layer of TensorRT makes the normalized tensor only.",
        "advice": "Drop the outputs that nothing reads; compute them apart where something does.",
        "where": "sam2/modeling/sam/mask_decoder.py:153 in forward, self.transformer.norm_final_attn",
        "severity": "error",
        "details": {
            "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 4096, 256]}, {"name": "scale", "shape": None}],
            "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch", None, 256]}],
            "says": "This version of TensorRT doesn't support mode than 1 outputs for LayerNormalization nodes!",
            "fixable": True,
            "rtx_only": True,
            "neighbourhood": NEIGHBOURHOOD,
        },
    }
    return Finding(**{**given, **changes})


def sample() -> list[Report]:
    """Two models, one of them with everything wrong."""
    histogram = {"edges": [10.0**power for power in range(-9, 1)], "counts": [90000, 4100, 700, 60, 9, 0, 3, 0, 1]}
    tensors = {
        "pred_mask": {"max_abs": 1.5e-4, "mean_abs": 2e-7, "cosine": 0.9999999, "nan": 0, "histogram": histogram},
        "iou": {"max_abs": float("inf"), "mean_abs": float("nan"), "cosine": 0.5, "nan": 3, "histogram": histogram},
    }
    counts = {"before": {"Constant": 812, "Add": 90, "Shape": 44}, "after": {"Add": 88, "Gelu": 12}}
    bad = Report(
        "checkpoints/sam2.1_hiera_tiny/mask_decoder.onnx",
        [
            Check("interface", "pass", "5 inputs and 5 outputs as documented", {"inputs": 5}),
            Check("golden", "fail", "iou is off by inf, 0.001 allowed", {"tensors": tensors, "seconds": 1.25}),
            Check("surgery", "pass", "947 nodes became 101", {"op_counts": counts}),
            Check("tensorrt-build", "skip", "TensorRT is not installed; pip install tensorrt-rtx"),
        ],
        [
            refused(),
            Finding("SG001", "'a' only renames 'b'", "Identity_1", "Identity", severity="note"),
            *(Finding("SG108", "axes are not constant", f"ReduceMean_{i}", "ReduceMean") for i in range(12)),
        ],
    )
    return [Report("image_encoder.onnx", [Check("interface", "pass", "as documented")]), bad]


def hostile() -> list[Report]:
    """Every text a model can put into a report, set to the hostile one."""
    texts = dict.fromkeys(("node", "op", "path", "where", "message", "why", "advice"), HOSTILE)
    port = {"name": HOSTILE, "dtype": HOSTILE, "shape": [HOSTILE]}
    graph = {
        "nodes": [{"id": HOSTILE, "label": HOSTILE}],
        "edges": [{"from": HOSTILE, "to": HOSTILE, "label": HOSTILE}],
    }
    details = {"inputs": [port], "outputs": [port], "says": HOSTILE, "neighbourhood": graph}
    tensors = {HOSTILE: {HOSTILE: HOSTILE, "histogram": {"edges": [HOSTILE, 1], "counts": [1]}}}
    figures = {"tensors": tensors, "op_counts": {"before": {HOSTILE: 1}, "after": {}}, HOSTILE: HOSTILE}
    check = Check(HOSTILE, "fail", HOSTILE, figures)
    return [Report(HOSTILE, [check], [Finding(code="SG999", details=details, **texts)])]
