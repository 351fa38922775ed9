"""Passes for operators that onnxruntime's optimizer writes, in floating point."""
