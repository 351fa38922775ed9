"""Changes ONNX models, and never writes one that computes something else. Knows nothing of torch or SAM2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surgery.hidden import stop_if_hidden

if TYPE_CHECKING:
    from surgery.api import fix, fix_model
    from surgery.diagnose.api import diagnose_model

__all__ = ["diagnose_model", "fix", "fix_model"]
__version__ = "0.1.0"

stop_if_hidden("verify")


def __getattr__(name: str) -> Any:
    """The public functions, loaded when they are first used so that the command line starts fast."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("surgery.diagnose.api" if name == "diagnose_model" else "surgery.api"), name)
    raise AttributeError(f"module 'surgery' has no attribute '{name}'")
