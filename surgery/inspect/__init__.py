"""What an ONNX file contains: interface, operators, weights, and what each target is known to refuse."""

from surgery.inspect.describe import Description, describe

__all__ = ["Description", "describe"]
