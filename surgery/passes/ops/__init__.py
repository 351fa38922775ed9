"""Helpers that passes share: build nodes, axes, bits, quantization, pooling and resize windows."""
