"""Runs models with onnxruntime or ONNX's reference evaluator, within a time limit."""
