"""Describes the content of an ONNX file: interface, operators, weights, and what each target is known to refuse."""

from surgery.inspect.description import Description, describe

__all__ = ["Description", "describe"]
