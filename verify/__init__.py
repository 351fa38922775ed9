"""Checks ONNX models: interface, numbers, and what TensorRT says. Changes nothing, and knows nothing of surgery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.api import record_golden, verify_model

__all__ = ["record_golden", "verify_model"]


def __getattr__(name: str) -> Any:
    """`verify.verify_model` and `verify.record_golden`, loaded when first used so that the command line starts fast."""
    if name in __all__:
        from verify import api

        return getattr(api, name)
    raise AttributeError(f"module 'verify' has no attribute '{name}'")
