"""Passes that replace what TensorRT refuses (codes SG1xx)."""
