"""Changes ONNX models, and never writes one that computes something else. Knows nothing of torch or SAM2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surgery.hidden import stop_if_hidden

if TYPE_CHECKING:
    from surgery.api import fix, fix_model

__all__ = ["fix", "fix_model"]
__version__ = "0.1.0"

stop_if_hidden("verify")


def __getattr__(name: str) -> Any:
    """`surgery.fix` and `surgery.fix_model`, loaded when first asked for so that the command line starts fast."""
    if name in __all__:
        from surgery import api

        return getattr(api, name)
    raise AttributeError(f"module 'surgery' has no attribute '{name}'")
