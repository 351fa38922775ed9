"""Judges ONNX models: shapes, numbers, and what TensorRT says. Changes nothing, and knows nothing of surgery."""
