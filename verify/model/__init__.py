"""ONNX models read for checking, with their external data."""
