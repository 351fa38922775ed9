"""Passes for eight-bit and sixteen-bit numbers, of ONNX and of onnxruntime."""
